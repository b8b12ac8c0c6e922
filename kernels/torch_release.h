// Whether the LibTorch of this process is of the release that the library was built for. Pure: no
// torch, so that every answer can be tested without a second LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace invact::kernels {

/// What is wrong where a library built for `built` runs in a process of `running`, in one sentence;
/// nothing where major and minor are equal. Both as TORCH_ABI_VERSION: major, minor and patch in
/// the three highest bytes.
inline std::optional<std::string> release_mismatch(uint64_t built, uint64_t running) {
  if (built >> 48 == running >> 48) return std::nullopt;
  const auto text = [](uint64_t version) {
    return std::to_string(version >> 56) + '.' + std::to_string(version >> 48 & 0xff) + '.' +
           std::to_string(version >> 40 & 0xff);
  };
  return "libinvact_kernels was built for LibTorch " + text(built) +
         " but this process runs LibTorch " + text(running) + ": rebuild invact against LibTorch " +
         text(running) + ", or load a LibTorch " + std::to_string(built >> 56) + '.' +
         std::to_string(built >> 48 & 0xff) + '.';
}

}  // namespace invact::kernels
