#include "analyzer/cupti/cupti_version.h"

#include <cupti.h>
#include <dlfcn.h>

namespace invact {

std::optional<uint32_t> cupti_api_version() {
  // CUPTI 13.2 looks for the driver to answer this, and where there is none calls itself until the
  // stack is full.
  if (!dlopen("libcuda.so.1", RTLD_LAZY)) return CUPTI_API_VERSION;
  uint32_t version = 0;
  if (cuptiGetVersion(&version) != CUPTI_SUCCESS) return std::nullopt;
  return version;
}

}  // namespace invact
