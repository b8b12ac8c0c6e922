#include "analyzer/inputs/input_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <vector>

namespace invact {
namespace {

using c10::TypeKind;

template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  Number value{};
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

std::string example_of(const c10::Type& type) {
  switch (type.kind()) {
    case TypeKind::IntType:
      return "3";
    case TypeKind::FloatType:
    case TypeKind::NumberType:
      return "0.5";
    case TypeKind::BoolType:
      return "true";
    case TypeKind::StringType:
      return "text";
    default:
      return c10::TensorType::get()->isSubtypeOf(type) ? "8x128[:DTYPE[:FILL]]" : "VALUE";
  }
}

std::string element_examples(const c10::TupleType& type, const std::string& name) {
  std::vector<std::string> examples;
  for (size_t i = 0; i < type.elements().size(); ++i) {
    examples.push_back(fmt::format("{}.{}={}", name, i, example_of(*type.elements()[i])));
  }
  return fmt::format("{}", fmt::join(examples, " with "));
}

}  // namespace

c10::TypePtr without_optional(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return optional ? optional->getElementType() : type;
}

bool is_plain(const c10::Type& type) {
  switch (type.kind()) {
    case TypeKind::IntType:
    case TypeKind::FloatType:
    case TypeKind::NumberType:
    case TypeKind::BoolType:
    case TypeKind::StringType:
      return true;
    default:
      return false;
  }
}

bool takes_tensor(const c10::Type& type) {
  return c10::TensorType::get()->isSubtypeOf(type);
}

std::optional<c10::IValue> plain_from(const c10::Type& type, const c10::IValue& value) {
  if (!value.isTensor()) {
    switch (type.kind()) {
      case TypeKind::IntType:
        return value.isInt() ? std::optional(value) : std::nullopt;
      case TypeKind::FloatType:
        if (value.isInt()) return c10::IValue(static_cast<double>(value.toInt()));
        return value.isDouble() ? std::optional(value) : std::nullopt;
      case TypeKind::NumberType:
        return value.isScalar() && !value.isBool() ? std::optional(value) : std::nullopt;
      case TypeKind::BoolType:
        return value.isBool() ? std::optional(value) : std::nullopt;
      default:
        return value.isString() ? std::optional(value) : std::nullopt;
    }
  }
  const at::Tensor& tensor = value.toTensor();
  if (type.kind() == TypeKind::StringType || tensor.numel() != 1) return std::nullopt;
  if (type.kind() == TypeKind::BoolType) return c10::IValue(tensor.item<bool>());
  if (type.kind() == TypeKind::IntType) return c10::IValue(tensor.item<int64_t>());
  if (type.kind() == TypeKind::FloatType) return c10::IValue(tensor.item<double>());
  return c10::IValue(tensor.item());
}

std::optional<c10::IValue> parse_plain(const c10::Type& type, const std::string& text) {
  switch (type.kind()) {
    case TypeKind::StringType:
      return c10::IValue(text);
    case TypeKind::BoolType:
      if (text == "true" || text == "True" || text == "1") return c10::IValue(true);
      if (text == "false" || text == "False" || text == "0") return c10::IValue(false);
      return std::nullopt;
    default:
      break;
  }
  if (const auto whole = parse_number<int64_t>(text)) {
    return type.kind() == TypeKind::FloatType ? c10::IValue(static_cast<double>(*whole))
                                              : c10::IValue(*whole);
  }
  const auto number = parse_number<double>(text);
  if (!number || type.kind() == TypeKind::IntType) return std::nullopt;
  return c10::IValue(*number);
}

std::optional<size_t> parse_index(const std::string& text) {
  // Signed, so that the length of a list, which is one more, always fits.
  const auto index = parse_number<int64_t>(text);
  if (!index || *index < 0) return std::nullopt;
  return static_cast<size_t>(*index);
}

std::string key_text(const c10::IValue& key) {
  if (key.isString()) return key.toStringRef();
  return key.isInt() ? fmt::format("{}", key.toInt()) : "?";
}

std::string accepted_input(const c10::Type& type, const std::string& name) {
  if (const auto optional = type.cast<c10::OptionalType>()) {
    return fmt::format("{}, or {}=none", accepted_input(*optional->getElementType(), name), name);
  }
  if (const auto tuple = type.cast<c10::TupleType>()) {
    return fmt::format("{}, or {}=@FILE.pt", element_examples(*tuple, name), name);
  }
  if (const auto list = type.cast<c10::ListType>()) {
    const std::string element = example_of(*list->getElementType());
    return fmt::format("{0}.0={1} with {0}.1={1} and so on, {0}=[] or {0}=@FILE.pt", name, element);
  }
  if (const auto dict = type.cast<c10::DictType>()) {
    return fmt::format("{0}.KEY={1} for each key, {0}={{}} or {0}=@FILE.pt", name,
                       example_of(*dict->getValueType()));
  }
  if (c10::TensorType::get()->isSubtypeOf(type)) {
    return fmt::format("{}={}", name, kTensorGrammar);
  }
  switch (type.kind()) {
    case TypeKind::IntType:
    case TypeKind::FloatType:
    case TypeKind::NumberType:
    case TypeKind::StringType:
      return fmt::format("{}={}", name, example_of(type));
    case TypeKind::BoolType:
      return fmt::format("{0}=true, {0}=false", name);
    default:
      return "nothing: trace the model with example inputs instead";
  }
}

}  // namespace invact
