// Which CUPTI this build observes GPUs with. The only folder that may include <cupti.h>.
#pragma once

#include <cstdint>
#include <optional>

namespace invact {

/// The API version of the CUPTI library that is loaded (130001 for CUPTI 13.0.85), on a machine
/// without a driver that of the build; none in a build without CUPTI or where the library does not
/// answer.
std::optional<uint32_t> cupti_api_version();

}  // namespace invact
