#include "analyzer/observation/environment.h"

#include <ATen/Version.h>

#include "analyzer/cupti/activity_recorder.h"

namespace invact {
namespace {

/// LibTorch has no function for its version, but names it among its build settings.
std::string loaded_libtorch_version() {
  const std::string config = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const size_t begin = config.find(key);
  if (begin == std::string::npos) return INVACT_TORCH_VERSION;
  const size_t value = begin + key.size();
  return config.substr(value, config.find(',', value) - value);
}

}  // namespace

Environment current_environment() {
  Environment environment;
  environment.invact_version = INVACT_VERSION;
  environment.libtorch_version = loaded_libtorch_version();
  environment.cpu_capability = at::get_cpu_capability();
  environment.cuda_build = INVACT_WITH_CUDA != 0;
  environment.cupti_api_version = cupti_api_version();
  return environment;
}

}  // namespace invact
