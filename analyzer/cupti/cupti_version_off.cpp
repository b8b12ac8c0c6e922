#include "analyzer/cupti/cupti_version.h"

namespace invact {

std::optional<uint32_t> cupti_api_version() {
  return std::nullopt;
}

}  // namespace invact
