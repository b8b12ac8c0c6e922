// Amounts of bytes as people write them (--max-saved 64MiB, --max-growth 5%) and as they read them.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
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

/// `flag` is for the message. @throws Error(kUsage).
Size parse_size(const std::string& flag, const std::string& text);

/// Parses "5%", or a size. @throws Error(kUsage).
GrowthLimit parse_growth_limit(const std::string& flag, const std::string& text);

/// "416.4 MiB", "512 B".
std::string format_bytes(int64_t bytes);

/// "+18.4 MiB", "-512 B", "0 B".
std::string format_change(int64_t bytes);

/// "-" where a report lacks the number.
std::string bytes_or_dash(const std::optional<int64_t>& bytes);

/// "+4.4 %"; empty where there was nothing before or nothing changed.
std::string format_percent_change(int64_t change, int64_t old_bytes);

/// 100 * `part` / `whole`; 0 where `whole` is 0.
double percent(int64_t part, int64_t whole);

}  // namespace invact
