// Files are written beside their target under a temporary name and renamed when whole, so that a
// run that fails or is interrupted leaves neither half a file nor a temporary one.
#pragma once

#include <string>

namespace invact {

class OutputFile {
 public:
  /// Names the temporary file beside `target`; it is deleted unless commit() is called.
  /// @throws Error(kUsage) where `target` is a folder, Error(kEnvironment) where its folder cannot
  /// be written.
  explicit OutputFile(std::string target);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::string& temporary_path() const { return temporary_; }

  /// Renames the temporary file to the target. @throws Error(kEnvironment).
  void commit();

 private:
  std::string target_;
  std::string temporary_;
};

/// Writes `text` to `path` as one OutputFile, or to stdout where `path` is "-".
void write_text(const std::string& path, const std::string& text);

/// Adds `text` to a file that other programs write to too. @throws Error(kEnvironment).
void append_text(const std::string& path, const std::string& text);

/// On Ctrl-C and SIGTERM: deletes the temporary files and exits with 130.
void install_interrupt_handler();

}  // namespace invact
