#include "cli/text/size.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "analyzer/error.h"

namespace invact {
namespace {

// "64M" alone is left out on purpose: half of the world's tools take it for 2^20, the others for
// 10^6.
constexpr std::array<std::pair<std::string_view, int64_t>, 10> kUnits = {{
    {"", 1},
    {"b", 1},
    {"kib", int64_t{1} << 10},
    {"mib", int64_t{1} << 20},
    {"gib", int64_t{1} << 30},
    {"tib", int64_t{1} << 40},
    {"kb", 1'000},
    {"mb", 1'000'000},
    {"gb", 1'000'000'000},
    {"tb", 1'000'000'000'000},
}};

// Far above any machine, far below where sums of bytes overflow.
constexpr long double kMaxBytes = static_cast<long double>(int64_t{1} << 60);

/// Digits with at most one point: from_chars alone would take "inf" and "1e9" as well.
std::optional<long double> parse_number(std::string_view text) {
  if (text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  long double value = 0;  // 64 bits of mantissa: every whole number of bytes is exact
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Splits "64 MiB" into its number and "mib".
std::pair<std::string_view, std::string> split_unit(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string_view unit = text.substr(digits);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  std::string lower;
  for (const char c : unit) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return {text.substr(0, digits), lower};
}

std::optional<int64_t> bytes_of(const std::string& text) {
  const auto [digits, unit] = split_unit(text);
  const auto number = parse_number(digits);
  const auto* const found =
      std::find_if(kUnits.begin(), kUnits.end(),
                   [&unit = unit](const auto& entry) { return entry.first == unit; });
  if (!number || found == kUnits.end()) return std::nullopt;
  const long double bytes = *number * static_cast<long double>(found->second);
  if (bytes > kMaxBytes) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

}  // namespace

int64_t GrowthLimit::allowed_bytes(int64_t old_bytes) const {
  if (!relative) return bytes;
  return static_cast<int64_t>(static_cast<long double>(old_bytes) * percent / 100);
}

Size parse_size(const std::string& flag, const std::string& text) {
  const auto bytes = bytes_of(text);
  if (!bytes) {
    throw_usage_error(fmt::format("{} '{}' is no size; write {}.", flag, text, kSizeForms));
  }
  return {*bytes, text};
}

GrowthLimit parse_growth_limit(const std::string& flag, const std::string& text) {
  GrowthLimit limit;
  limit.text = text;
  if (text.ends_with('%')) {
    const auto percent = parse_number(std::string_view(text).substr(0, text.size() - 1));
    if (!percent || *percent > 1'000'000) {
      throw_usage_error(fmt::format("{} '{}' is no percentage; write 5% or 0.5%.", flag, text));
    }
    limit.relative = true;
    limit.percent = static_cast<double>(*percent);
    return limit;
  }
  const auto bytes = bytes_of(text);
  if (!bytes) {
    throw_usage_error(fmt::format("{} '{}' is neither a percentage (5%) nor a size; write {}.",
                                  flag, text, kSizeForms));
  }
  limit.bytes = *bytes;
  return limit;
}

std::string format_bytes(int64_t bytes) {
  if (std::abs(bytes) < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    value /= 1024;
    if (std::abs(value) < 1023.95) return fmt::format("{:.1f} {}", value, unit);
  }
  return fmt::format("{:.1f} TiB", value / 1024);
}

std::string format_change(int64_t bytes) {
  return fmt::format("{}{}", bytes > 0 ? "+" : "", format_bytes(bytes));
}

std::string bytes_or_dash(const std::optional<int64_t>& bytes) {
  return bytes ? format_bytes(*bytes) : "-";
}

std::string format_percent_change(int64_t change, int64_t old_bytes) {
  if (old_bytes == 0 || change == 0) return "";
  return fmt::format("{:+.1f} %",
                     100.0 * static_cast<double>(change) / static_cast<double>(old_bytes));
}

double percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace invact
