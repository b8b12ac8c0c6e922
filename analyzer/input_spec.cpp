#include "analyzer/input_spec.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "analyzer/error.h"

namespace invact {

const char* const kInputGrammar =
    "[NAME=]8x128[:DTYPE[:FILL]] | [NAME=]scalar[:DTYPE[:FILL]] | [NAME=]@FILE.pt|.npy; DTYPE: f64 "
    "f32 "
    "(default) bf16 f16 i64 i32 i16 i8 u8 bool; FILL: randn (default), zeros, ones, LO..HI (HI "
    "excluded)";

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kDtypes = {{
    {"f64", "float64"},
    {"f32", "float32"},
    {"bf16", "bfloat16"},
    {"f16", "float16"},
    {"i64", "int64"},
    {"i32", "int32"},
    {"i16", "int16"},
    {"i8", "int8"},
    {"u8", "uint8"},
    {"bool", "bool"},
}};

[[noreturn]] void reject(const std::string& text, const std::string& why) {
  throw_usage_error(fmt::format("--input '{}': {}. Accepted: {}.", text, why, kInputGrammar));
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<int64_t> parse_shape(const std::string& text, std::string_view part) {
  if (part == "scalar") return {};
  std::vector<int64_t> shape;
  int64_t elements = 1;
  for (size_t begin = 0; begin <= part.size();) {
    const size_t end = std::min(part.find('x', begin), part.size());
    const auto size = parse_number<int64_t>(part.substr(begin, end - begin));
    if (!size || *size < 0) {
      reject(text, fmt::format("'{}' is no shape like 8x128", part));
    }
    shape.push_back(*size);
    if (*size > 0 && __builtin_mul_overflow(elements, *size, &elements)) {
      reject(text, fmt::format("'{}' has more elements than 64 bits can count", part));
    }
    begin = end + 1;
  }
  return shape;
}

void parse_fill(const std::string& text, std::string_view part, InputSpec& spec) {
  if (part == "randn") {
    spec.fill = InputFill::kNormal;
  } else if (part == "zeros") {
    spec.fill = InputFill::kZeros;
  } else if (part == "ones") {
    spec.fill = InputFill::kOnes;
  } else if (const size_t dots = part.find(".."); dots != std::string_view::npos) {
    const auto low = parse_number<double>(part.substr(0, dots));
    const auto high = parse_number<double>(part.substr(dots + 2));
    if (!low || !high) reject(text, fmt::format("'{}' is no range like 0..30522", part));
    if (!(*low < *high)) reject(text, fmt::format("the range '{}' is empty", part));
    spec.fill = InputFill::kUniform;
    spec.low = *low;
    spec.high = *high;
  } else {
    reject(text, fmt::format("unknown fill '{}'", part));
  }
}

bool is_integer(std::string_view dtype) {
  return dtype.starts_with("int") || dtype.starts_with("uint") || dtype == "bool";
}

}  // namespace

std::optional<std::string> full_dtype_name(const std::string& name) {
  for (const auto& [short_name, full_name] : kDtypes) {
    if (name == short_name || name == full_name) return std::string(full_name);
  }
  return std::nullopt;
}

InputSpec parse_input_spec(const std::string& text) {
  InputSpec spec;
  std::string_view rest = text;
  if (const size_t equals = rest.find('='); equals != std::string_view::npos) {
    spec.name = rest.substr(0, equals);
    if (spec.name.empty()) reject(text, "nothing stands before '='");
    rest.remove_prefix(equals + 1);
  }
  if (rest.starts_with('@')) {
    spec.file = rest.substr(1);
    spec.fill = InputFill::kFile;
    if (spec.file.empty()) reject(text, "no file name follows '@'");
    return spec;
  }
  const size_t first_colon = rest.find(':');
  spec.shape = parse_shape(text, rest.substr(0, first_colon));
  if (first_colon == std::string_view::npos) return spec;
  rest.remove_prefix(first_colon + 1);
  const size_t second_colon = rest.find(':');
  const std::string dtype(rest.substr(0, second_colon));
  const auto full_name = full_dtype_name(dtype);
  if (!full_name) reject(text, fmt::format("unknown dtype '{}'", dtype));
  spec.dtype = *full_name;
  if (is_integer(spec.dtype)) {
    // Small numbers that every embedding table and every mask accepts.
    spec.fill = InputFill::kUniform;
    spec.low = 0;
    spec.high = 2;
  }
  if (second_colon == std::string_view::npos) return spec;
  parse_fill(text, rest.substr(second_colon + 1), spec);
  if (spec.fill == InputFill::kNormal && is_integer(spec.dtype)) {
    reject(text, fmt::format("randn needs a floating dtype, not {}", spec.dtype));
  }
  return spec;
}

std::string fill_text(const InputSpec& spec) {
  switch (spec.fill) {
    case InputFill::kNormal:
      return "randn";
    case InputFill::kZeros:
      return "zeros";
    case InputFill::kOnes:
      return "ones";
    case InputFill::kUniform:
      return fmt::format("{}..{}", spec.low, spec.high);
    case InputFill::kFile:
      return "file";
  }
  return "";
}

}  // namespace invact
