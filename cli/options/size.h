// Amounts of bytes as people write them: --max-saved 64MiB, --max-growth 5%. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace invact {

/// The accepted forms, for messages and help texts.
inline constexpr const char* kSizeForms =
    "64MiB (2^20 each), 64MB (10^6 each), also KiB, GiB, TiB, kB, GB, TB, or a number of bytes";

struct Size {
  int64_t bytes = 0;
  std::string text;  ///< As it was written: a gate is named as the user knows it.
  bool operator==(const Size&) const = default;
};

/// How much more than before is allowed: bytes, or a part of what there was.
struct GrowthLimit {
  bool relative = false;
  int64_t bytes = 0;   ///< Where absolute.
  double percent = 0;  ///< Where relative.
  std::string text;
  bool operator==(const GrowthLimit&) const = default;

  /// Bytes that may come on top of `old_bytes`, rounded down.
  int64_t allowed_bytes(int64_t old_bytes) const;
};

/// `flag` stands in the message alone. @throws Error(kUsage).
Size parse_size(const std::string& flag, const std::string& text);

/// "5%", or a size. @throws Error(kUsage).
GrowthLimit parse_growth_limit(const std::string& flag, const std::string& text);

}  // namespace invact
