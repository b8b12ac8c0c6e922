// The part of InputMaker that puts tuples, lists and dicts together from their elements.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "analyzer/inputs/input_maker.h"

namespace invact {
namespace {

using c10::TypeKind;

const InputNode kNothing;

const InputNode& find_element(const InputNode& node, const std::string& key) {
  for (const InputNode& element : node.elements) {
    if (element.key == key) return element;
  }
  return kNothing;
}

std::optional<size_t> parse_index(const std::string& text) {
  int64_t index = 0;  // signed, so that the length of a list, one more, always fits
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, index);
  if (error != std::errc() || end != last || index < 0) return std::nullopt;
  return static_cast<size_t>(index);
}

/// The spec of a node, or of the first element that has one.
const InputSpec& any_spec(const InputNode& node) {
  return node.spec ? *node.spec : any_spec(node.elements.front());
}

[[noreturn]] void reject_element(const InputNode& element, const std::string& name,
                                 const c10::Type& type) {
  reject_input(any_spec(element),
               fmt::format("'{}' ({}) has no element '{}'", name, type.repr_str(), element.key),
               accepted_input(type, name));
}

std::string form_of(const c10::Type& type) {
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

std::string element_forms(const c10::TupleType& type, const std::string& name) {
  std::vector<std::string> forms;
  for (size_t i = 0; i < type.elements().size(); ++i) {
    forms.push_back(fmt::format("{}.{}={}", name, i, form_of(*type.elements()[i])));
  }
  return fmt::format("{}", fmt::join(forms, " with "));
}

}  // namespace

std::string key_text(const c10::IValue& key) {
  if (key.isString()) return key.toStringRef();
  return key.isInt() ? fmt::format("{}", key.toInt()) : "?";
}

std::string accepted_input(const c10::Type& type, const std::string& name) {
  if (const auto optional = type.cast<c10::OptionalType>()) {
    return fmt::format("{}, or {}=none", accepted_input(*optional->getElementType(), name), name);
  }
  if (const auto tuple = type.cast<c10::TupleType>()) {
    return fmt::format("{}, or {}=@FILE.pt", element_forms(*tuple, name), name);
  }
  if (const auto list = type.cast<c10::ListType>()) {
    const std::string form = form_of(*list->getElementType());
    return fmt::format("{0}.0={1} with {0}.1={1} and so on, {0}=[] or {0}=@FILE.pt", name, form);
  }
  if (const auto dict = type.cast<c10::DictType>()) {
    return fmt::format("{0}.KEY={1} for each key, {0}={{}} or {0}=@FILE.pt", name,
                       form_of(*dict->getValueType()));
  }
  if (c10::TensorType::get()->isSubtypeOf(type)) {
    return fmt::format("{}={}", name, kTensorGrammar);
  }
  switch (type.kind()) {
    case TypeKind::IntType:
    case TypeKind::FloatType:
    case TypeKind::NumberType:
    case TypeKind::StringType:
      return fmt::format("{}={}", name, form_of(type));
    case TypeKind::BoolType:
      return fmt::format("{0}=true, {0}=false", name);
    default:
      return "nothing: trace the model with example inputs instead";
  }
}

c10::IValue InputMaker::from_elements(c10::TypePtr type, const InputNode& node,
                                      const c10::IValue* example, const std::string& name) {
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  if (const auto tuple = type->cast<c10::TupleType>()) {
    return make_tuple(tuple, node, example, name);
  }
  if (const auto list = type->cast<c10::ListType>()) return make_list(*list, node, example, name);
  if (const auto dict = type->cast<c10::DictType>()) return make_dict(*dict, node, example, name);
  reject_element(node.elements.front(), name, *type);
}

c10::IValue InputMaker::make_tuple(const c10::TupleTypePtr& type, const InputNode& node,
                                   const c10::IValue* example, const std::string& name) {
  const auto types = type->elements();
  for (const InputNode& element : node.elements) {
    const auto index = parse_index(element.key);
    if (!index || *index >= types.size()) reject_element(element, name, *type);
  }
  const bool has_example =
      example && example->isTuple() && example->toTupleRef().elements().size() == types.size();
  std::vector<c10::IValue> elements;
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string key = fmt::format("{}", i);
    elements.push_back(make(types[i], find_element(node, key),
                            has_example ? &example->toTupleRef().elements()[i] : nullptr,
                            fmt::format("{}.{}", name, key)));
  }
  return c10::ivalue::Tuple::createNamed(std::move(elements), type);
}

c10::IValue InputMaker::make_list(const c10::ListType& type, const InputNode& node,
                                  const c10::IValue* example, const std::string& name) {
  std::vector<c10::IValue> examples;
  if (example && example->isList()) examples = example->toListRef().vec();
  size_t length = examples.size();
  for (const InputNode& element : node.elements) {
    const auto index = parse_index(element.key);
    if (!index) reject_element(element, name, type);
    length = std::max(length, *index + 1);
  }
  c10::impl::GenericList list(type.getElementType());
  // Ends at the first gap: make() says which element is missing.
  for (size_t i = 0; i < length; ++i) {
    const std::string key = fmt::format("{}", i);
    list.push_back(make(type.getElementType(), find_element(node, key),
                        i < examples.size() ? &examples[i] : nullptr,
                        fmt::format("{}.{}", name, key)));
  }
  return list;
}

c10::IValue InputMaker::make_dict(const c10::DictType& type, const InputNode& node,
                                  const c10::IValue* example, const std::string& name) {
  c10::impl::GenericDict dict(type.getKeyType(), type.getValueType());
  if (example && example->isGenericDict()) {
    for (const auto& entry : example->toGenericDict()) {
      const c10::IValue& value = entry.value();
      const std::string key = key_text(entry.key());
      dict.insert(entry.key(), make(type.getValueType(), find_element(node, key), &value,
                                    fmt::format("{}.{}", name, key)));
    }
  }
  for (const InputNode& element : node.elements) {
    c10::IValue key = element.key;
    if (type.getKeyType()->kind() == TypeKind::IntType) {
      const auto index = parse_index(element.key);
      if (!index) reject_element(element, name, type);
      key = static_cast<int64_t>(*index);
    } else if (type.getKeyType()->kind() != TypeKind::StringType) {
      reject_element(element, name, type);
    }
    if (dict.contains(key)) continue;
    dict.insert(
        key, make(type.getValueType(), element, nullptr, fmt::format("{}.{}", name, element.key)));
  }
  return dict;
}

}  // namespace invact
