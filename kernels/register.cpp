#include "kernels/register.h"

#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>

#include <cstdint>
#include <sstream>
#include <string>

namespace invact::kernels {
namespace {

std::string version_text(uint64_t version) {
  // TORCH_ABI_VERSION: major, minor and patch in the three highest bytes.
  std::ostringstream text;
  text << (version >> 56) << '.' << (version >> 48 & 0xff) << '.' << (version >> 40 & 0xff);
  return text.str();
}

bool same_release(uint64_t a, uint64_t b) {
  return a >> 48 == b >> 48;
}

std::string mismatch_message() {
  return "libinvact_kernels was built for LibTorch " + version_text(TORCH_ABI_VERSION) +
         " but this process runs LibTorch " + version_text(aoti_torch_abi_version()) +
         ": rebuild invact against the LibTorch that loads it.";
}

// A warning and not an exception: an exception cannot leave the initialisers that dlopen runs.
[[maybe_unused]] const bool kWarned = [] {
  if (!same_release(TORCH_ABI_VERSION, aoti_torch_abi_version())) TORCH_WARN(mismatch_message());
  return true;
}();

}  // namespace

void ensure_registered() {
  TORCH_CHECK(same_release(TORCH_ABI_VERSION, aoti_torch_abi_version()), mismatch_message());
}

}  // namespace invact::kernels
