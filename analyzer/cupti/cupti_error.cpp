#include "analyzer/cupti/cupti_error.h"

#include <fmt/format.h>

#include "analyzer/error.h"

namespace invact {
namespace {

/// The names stand in CUPTI's header; cuptiGetResultString would ask a library that may be
/// unusable.
std::string reason(CUptiResult result) {
  switch (result) {
    case CUPTI_ERROR_NOT_INITIALIZED:
      return "CUPTI could not be initialized: is the driver as new as this CUDA release?";
    case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
    case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
      return "this user may not profile here: ask the administrator to allow it "
             "(https://developer.nvidia.com/ERR_NVGPUCTRPERM)";
    case CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED:
      return "this virtual GPU cannot be profiled";
    case CUPTI_ERROR_CONFIDENTIAL_COMPUTING_NOT_SUPPORTED:
      return "confidential computing forbids profiling";
    case CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED:
      return "this MIG instance cannot be profiled";
    case CUPTI_ERROR_CMP_DEVICE_NOT_SUPPORTED:
    case CUPTI_ERROR_SLI_DEVICE_NOT_SUPPORTED:
    case CUPTI_ERROR_WSL_DEVICE_NOT_SUPPORTED:
    case CUPTI_ERROR_NOT_SUPPORTED:
      return "CUPTI does not support this device";
    case CUPTI_ERROR_OUT_OF_MEMORY:
      return "CUPTI ran out of memory";
    case CUPTI_ERROR_OLD_PROFILER_API_INITIALIZED:
    case CUPTI_ERROR_NOT_COMPATIBLE:
      return "another profiling interface is active in this process";
    default:
      return fmt::format("CUPTI answered {}", static_cast<int>(result));
  }
}

}  // namespace

std::string explain_cupti_failure(CUptiResult result, const std::string& action,
                                  const std::string& holder) {
  constexpr const char* kWayOut = "--no-cupti analyzes without what the GPU records";
  if (result == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED) {
    return fmt::format(
        "Cannot {}: {} has CUPTI already, and there is room for one. Run invact outside of Nsight "
        "Systems, Nsight Compute, cuda-gdb and compute-sanitizer; {}.",
        action, holder.empty() ? "another tool" : fmt::format("'{}'", holder), kWayOut);
  }
  return fmt::format("Cannot {}: {}; {}.", action, reason(result), kWayOut);
}

void check_cupti(CUptiResult result, const char* action) {
  if (result != CUPTI_SUCCESS) throw_environment_error(explain_cupti_failure(result, action));
}

}  // namespace invact
