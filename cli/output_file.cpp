#include "cli/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "analyzer/error.h"
#include "cli/exit.h"

namespace invact {
namespace {

namespace fs = std::filesystem;

// A signal handler may only call unlink and read memory that is already there: names lie in fixed
// slots.
constexpr size_t kSlots = 8;
constexpr size_t kNameBytes = 4096;
std::array<std::array<char, kNameBytes>, kSlots> temporary_names;
std::array<std::atomic<bool>, kSlots> slot_taken;

void remember(const std::string& path) {
  for (size_t i = 0; i < kSlots; ++i) {
    if (slot_taken[i] || path.size() >= kNameBytes) continue;
    std::strcpy(temporary_names[i].data(), path.c_str());
    slot_taken[i] = true;
    return;
  }
}

void forget(const std::string& path) {
  for (size_t i = 0; i < kSlots; ++i) {
    if (slot_taken[i] && path == temporary_names[i].data()) slot_taken[i] = false;
  }
}

void on_interrupt(int) {
  for (size_t i = 0; i < kSlots; ++i) {
    if (slot_taken[i]) unlink(temporary_names[i].data());
  }
  _exit(kExitInterrupted);
}

}  // namespace

OutputFile::OutputFile(std::string target) : target_(std::move(target)) {
  if (fs::is_directory(target_)) {
    throw_usage_error(fmt::format("'{}' is a folder; name a file.", target_));
  }
  temporary_ = fmt::format("{}.{}.tmp", target_, getpid());
  // Opened now, so that a folder without write permission ends the command before minutes of work.
  std::ofstream probe(temporary_, std::ios::binary);
  if (!probe) {
    throw_environment_error(fmt::format("Cannot write '{}': {}.", target_, std::strerror(errno)));
  }
  remember(temporary_);
}

OutputFile::~OutputFile() {
  if (temporary_.empty()) return;
  std::error_code ignored;
  fs::remove(temporary_, ignored);
  forget(temporary_);
}

void OutputFile::commit() {
  std::error_code code;
  fs::rename(temporary_, target_, code);
  if (code) {
    throw_environment_error(fmt::format("Cannot write '{}': {}.", target_, code.message()));
  }
  forget(temporary_);
  temporary_.clear();
}

void write_text(const std::string& path, const std::string& text) {
  if (path == "-") {
    // Text longer than the stream's buffer fails in fwrite, and nothing is left for fflush to lose.
    const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (std::fflush(stdout) != 0 || !is_written) {
      throw_environment_error(fmt::format("Cannot write to stdout: {}.", std::strerror(errno)));
    }
    return;
  }
  OutputFile file(path);
  {
    std::ofstream stream(file.temporary_path(), std::ios::binary | std::ios::trunc);
    stream << text;
    stream.flush();
    if (!stream) {
      throw_environment_error(fmt::format("Cannot write '{}': {}.", path, std::strerror(errno)));
    }
  }
  file.commit();
}

void append_text(const std::string& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary | std::ios::app);
  stream << text;
  stream.flush();
  if (!stream) {
    throw_environment_error(fmt::format("Cannot append to '{}': {}.", path, std::strerror(errno)));
  }
}

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = &on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace invact
