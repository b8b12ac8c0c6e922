// What a report was made with. Plain data, so that two reports can be told to be comparable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace invact {

struct Environment {
  std::string invact_version;
  std::string libtorch_version;  ///< Of the library that is loaded.
  std::string cpu_capability;    ///< "AVX2": which of ATen's CPU kernels run.
  bool cuda_build = false;       ///< The operator library has CUDA kernels.
  std::optional<uint32_t> cupti_api_version;
};

Environment current_environment();

}  // namespace invact
