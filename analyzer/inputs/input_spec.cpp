#include "analyzer/inputs/input_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "analyzer/error.h"

namespace invact {

const char* const kInputHelp =
    "[NAME=]VALUE. A tensor: 8x128[:DTYPE[:FILL]], scalar[:DTYPE[:FILL]], @FILE.pt, @FILE.npy; "
    "DTYPE: "
    "f64 f32 (default) bf16 f16 i64 i32 i16 i8 u8 bool; FILL: randn (default), zeros, ones, tril, "
    "LO..HI (HI excluded).\n"
    "A number, bool or str: 3, 0.5, true, text. An Optional: none.\n"
    "Elements of a tuple, list or dict: NAME.0=VALUE, NAME.KEY=VALUE; all at once: @FILE.pt; an "
    "empty "
    "list or dict: [] or {}";

const char* const kTensorGrammar =
    "8x128[:DTYPE[:FILL]] | scalar[:DTYPE[:FILL]] | @FILE.pt | @FILE.npy; DTYPE: f64 f32 (default) "
    "bf16 f16 i64 i32 i16 i8 u8 bool; FILL: randn (default), zeros, ones, tril, LO..HI (HI "
    "excluded)";

namespace {

struct Dtype {
  std::string_view short_name;
  std::string_view full_name;
  bool is_integer;
  double lowest;   ///< A range may begin here,
  double highest;  ///< and its last value may be this.
};

// Ranges are written as doubles, which count whole numbers up to 2^53.
constexpr double kWhole = 0x1p53;
constexpr std::array<Dtype, 10> kDtypes = {{
    {"f64", "float64", false, -0x1.fffffffffffffp1023, 0x1.fffffffffffffp1023},
    {"f32", "float32", false, -0x1.fffffep127, 0x1.fffffep127},
    {"bf16", "bfloat16", false, -0x1.fep127, 0x1.fep127},
    {"f16", "float16", false, -65504, 65504},
    {"i64", "int64", true, -kWhole, kWhole},
    {"i32", "int32", true, -0x1p31, 0x1p31 - 1},
    {"i16", "int16", true, -0x1p15, 0x1p15 - 1},
    {"i8", "int8", true, -128, 127},
    {"u8", "uint8", true, 0, 255},
    {"bool", "bool", true, 0, 1},
}};

const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (name == dtype.short_name || name == dtype.full_name) return &dtype;
  }
  return nullptr;
}

[[noreturn]] void reject_tensor(const InputSpec& spec, const std::string& why) {
  reject_input(spec, why, kTensorGrammar);
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<int64_t> parse_shape(const InputSpec& spec, std::string_view part) {
  if (part == "scalar") return {};
  std::vector<int64_t> shape;
  int64_t elements = 1;
  for (size_t begin = 0; begin <= part.size();) {
    const size_t end = std::min(part.find('x', begin), part.size());
    const auto size = parse_number<int64_t>(part.substr(begin, end - begin));
    if (!size || *size < 0) {
      reject_tensor(spec, fmt::format("'{}' is no shape like 8x128", part));
    }
    shape.push_back(*size);
    if (*size > 0 && __builtin_mul_overflow(elements, *size, &elements)) {
      reject_tensor(spec, fmt::format("'{}' has more elements than 64 bits can count", part));
    }
    begin = end + 1;
  }
  return shape;
}

void parse_range(const InputSpec& spec, std::string_view part, const Dtype& dtype,
                 TensorSpec& tensor) {
  const size_t dots = part.find("..");
  const auto low = parse_number<double>(part.substr(0, dots));
  const auto high = parse_number<double>(part.substr(dots + 2));
  if (!low || !high || !std::isfinite(*low) || !std::isfinite(*high)) {
    reject_tensor(spec, fmt::format("'{}' is no range like 0..30522", part));
  }
  if (!(*low < *high)) reject_tensor(spec, fmt::format("the range '{}' is empty", part));
  if (dtype.is_integer && (std::trunc(*low) != *low || std::trunc(*high) != *high)) {
    reject_tensor(spec, fmt::format("'{}' is no range of whole numbers, which {} needs", part,
                                    dtype.full_name));
  }
  const double last = dtype.is_integer ? *high - 1 : *high;
  if (*low < dtype.lowest || last > dtype.highest) {
    reject_tensor(spec, fmt::format("the range '{}' does not fit {}", part, dtype.full_name));
  }
  tensor.fill = InputFill::kUniform;
  tensor.low = *low;
  tensor.high = *high;
}

void parse_fill(const InputSpec& spec, std::string_view part, const Dtype& dtype,
                TensorSpec& tensor) {
  if (part == "randn") {
    if (dtype.is_integer) {
      reject_tensor(spec, fmt::format("randn needs a floating dtype, not {}", dtype.full_name));
    }
    tensor.fill = InputFill::kNormal;
  } else if (part == "zeros") {
    tensor.fill = InputFill::kZeros;
  } else if (part == "ones") {
    tensor.fill = InputFill::kOnes;
  } else if (part == "tril") {
    if (tensor.shape.size() < 2) reject_tensor(spec, "tril needs two dimensions at least");
    tensor.fill = InputFill::kLowerTriangular;
  } else if (part.find("..") != std::string_view::npos) {
    parse_range(spec, part, dtype, tensor);
  } else {
    reject_tensor(spec, fmt::format("unknown fill '{}'", part));
  }
}

/// "x.0.key" into x, 0, key.
std::vector<std::string> split_at_dots(const InputSpec& spec, std::string_view target) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= target.size();) {
    const size_t end = std::min(target.find('.', begin), target.size());
    parts.emplace_back(target.substr(begin, end - begin));
    if (parts.back().empty()) {
      reject_input(spec,
                   target.empty() ? "nothing stands before '='"
                                  : fmt::format("'{}' has an empty part", target),
                   "NAME=VALUE, NAME.ELEMENT=VALUE");
    }
    begin = end + 1;
  }
  return parts;
}

}  // namespace

void reject_input(const InputSpec& spec, const std::string& why, const std::string& accepted) {
  throw_usage_error(fmt::format("--input '{}': {}. Accepted: {}.", spec.text, why, accepted));
}

std::optional<std::string> full_dtype_name(const std::string& name) {
  const Dtype* const dtype = find_dtype(name);
  return dtype ? std::optional(std::string(dtype->full_name)) : std::nullopt;
}

InputSpec parse_input_spec(const std::string& text) {
  InputSpec spec;
  spec.text = spec.value = text;
  const size_t equals = text.find('=');
  // A file's name may hold '=' too.
  if (equals == std::string::npos || text.starts_with('@')) return spec;
  spec.elements = split_at_dots(spec, std::string_view(text).substr(0, equals));
  spec.name = spec.elements.front();
  spec.elements.erase(spec.elements.begin());
  spec.value = text.substr(equals + 1);
  return spec;
}

TensorSpec parse_tensor_spec(const InputSpec& spec) {
  TensorSpec tensor;
  std::string_view rest = spec.value;
  if (rest.starts_with('@')) {
    tensor.file = rest.substr(1);
    tensor.fill = InputFill::kFile;
    if (tensor.file.empty()) reject_tensor(spec, "no file name follows '@'");
    return tensor;
  }
  const size_t first_colon = rest.find(':');
  tensor.shape = parse_shape(spec, rest.substr(0, first_colon));
  if (first_colon == std::string_view::npos) return tensor;
  rest.remove_prefix(first_colon + 1);
  const size_t second_colon = rest.find(':');
  const std::string_view name = rest.substr(0, second_colon);
  const Dtype* const dtype = find_dtype(name);
  if (!dtype) reject_tensor(spec, fmt::format("unknown dtype '{}'", name));
  tensor.dtype = dtype->full_name;
  if (dtype->is_integer) {
    // Small numbers that every embedding table and every mask accepts.
    tensor.fill = InputFill::kUniform;
    tensor.low = 0;
    tensor.high = 2;
  }
  if (second_colon != std::string_view::npos) {
    parse_fill(spec, rest.substr(second_colon + 1), *dtype, tensor);
  }
  return tensor;
}

std::string input_name(const InputSpec& spec) {
  if (spec.name.empty()) return spec.text;
  std::string name = spec.name;
  for (const std::string& element : spec.elements) name += "." + element;
  return name;
}

std::string fill_text(const TensorSpec& spec) {
  switch (spec.fill) {
    case InputFill::kNormal:
      return "randn";
    case InputFill::kZeros:
      return "zeros";
    case InputFill::kOnes:
      return "ones";
    case InputFill::kLowerTriangular:
      return "tril";
    case InputFill::kUniform:
      return fmt::format("{}..{}", spec.low, spec.high);
    case InputFill::kFile:
      return "file";
  }
  return "";
}

}  // namespace invact
