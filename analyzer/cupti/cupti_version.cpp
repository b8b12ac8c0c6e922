#include "analyzer/cupti/cupti_version.h"

#include <cupti.h>

namespace invact {

std::optional<uint32_t> cupti_api_version() {
  uint32_t version = 0;
  if (cuptiGetVersion(&version) != CUPTI_SUCCESS) return std::nullopt;
  return version;
}

}  // namespace invact
