#include "kernels/register.h"

#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>

#include <optional>
#include <string>

#include "kernels/torch_release.h"

namespace invact::kernels {
namespace {

std::optional<std::string> mismatch() {
  return release_mismatch(TORCH_ABI_VERSION, aoti_torch_abi_version());
}

// A warning and not an exception: an exception cannot leave the initialisers that dlopen runs.
[[maybe_unused]] const bool kWarned = [] {
  if (const std::optional<std::string> problem = mismatch()) {
    TORCH_WARN(*problem);
  }
  return true;
}();

}  // namespace

void ensure_registered() {
  const std::optional<std::string> problem = mismatch();
  TORCH_CHECK(!problem, *problem);
}

}  // namespace invact::kernels
