#include "analyzer/inputs/input_maker.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "analyzer/error.h"
#include "analyzer/inputs/input_types.h"
#include "analyzer/inputs/tensor_file.h"
#include "analyzer/model/model.h"

namespace invact {
namespace {

using c10::TypeKind;

const InputNode kNothing;

c10::ScalarType scalar_type(const std::string& dtype) {
  for (int8_t i = 0; i < static_cast<int8_t>(c10::ScalarType::NumOptions); ++i) {
    const auto candidate = static_cast<c10::ScalarType>(i);
    if (candidate != c10::ScalarType::Undefined && dtype_name(candidate) == dtype) return candidate;
  }
  throw_internal_error(fmt::format("dtype '{}' passed the parser but is unknown.", dtype));
}

/// Drawn on the CPU, so that every device gets the same values.
at::Tensor draw_tensor(const TensorSpec& spec, const at::Generator& generator) {
  const c10::ScalarType dtype = scalar_type(spec.dtype);
  const auto options = at::TensorOptions().dtype(dtype);
  switch (spec.fill) {
    case InputFill::kFile:
      throw_internal_error("A file is read, not drawn.");
    case InputFill::kZeros:
      return at::zeros(spec.shape, options);
    case InputFill::kOnes:
      return at::ones(spec.shape, options);
    case InputFill::kLowerTriangular:
      return at::ones(spec.shape, options).tril();
    case InputFill::kUniform:
      if (c10::isIntegralType(dtype, /*includeBool=*/true)) {
        return at::randint(static_cast<int64_t>(spec.low), static_cast<int64_t>(spec.high),
                           spec.shape, generator, at::TensorOptions().dtype(c10::kLong))
            .to(dtype);
      }
      return at::rand(spec.shape, generator, at::TensorOptions().dtype(c10::kDouble))
          .mul(spec.high - spec.low)
          .add(spec.low)
          .to(dtype);
    case InputFill::kNormal:
      break;
  }
  return at::randn(spec.shape, generator, at::TensorOptions().dtype(c10::kFloat)).to(dtype);
}

TensorSpec spec_like(const at::Tensor& example) {
  TensorSpec spec;
  spec.shape = example.sizes().vec();
  spec.dtype = dtype_name(example.scalar_type());
  if (c10::isIntegralType(example.scalar_type(), /*includeBool=*/true)) {
    spec.fill = InputFill::kUniform;
    spec.low = 0;
    spec.high = 2;
  }
  return spec;
}

[[noreturn]] void reject_type(const c10::Type& type, const InputSpec& spec,
                              const std::string& name) {
  reject_input(
      spec, fmt::format("'{}' is of type {}, which '{}' is not", name, type.repr_str(), spec.value),
      accepted_input(type, name));
}

const InputNode& find_element(const InputNode& node, const std::string& key) {
  for (const InputNode& element : node.elements) {
    if (element.key == key) return element;
  }
  return kNothing;
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

}  // namespace

InputMaker::InputMaker(uint64_t seed, c10::Device device)
    : generator_(at::detail::createCPUGenerator(seed)), device_(device) {}

at::Tensor InputMaker::record(const std::string& name, const at::Tensor& made,
                              const std::string& fill) {
  records.push_back({name, tensor_facts(made), fill});
  return made.to(device_);
}

at::Tensor InputMaker::tensor(const std::string& name, const TensorSpec& spec) {
  return record(name, draw_tensor(spec, generator_), fill_text(spec));
}

c10::IValue InputMaker::like(const std::string& name, const c10::IValue& example) {
  if (example.isTensor()) return tensor(name, spec_like(example.toTensor()));
  if (example.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const auto& element : example.toTupleRef().elements()) {
      elements.push_back(like(fmt::format("{}.{}", name, elements.size()), element));
    }
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (example.isList()) {
    const auto source = example.toList();
    c10::impl::GenericList made(source.elementType());
    for (size_t i = 0; i < source.size(); ++i) {
      made.push_back(like(fmt::format("{}.{}", name, i), source.get(i)));
    }
    return made;
  }
  if (example.isGenericDict()) {
    const auto source = example.toGenericDict();
    c10::impl::GenericDict made(source.keyType(), source.valueType());
    for (const auto& entry : source) {
      made.insert(entry.key(),
                  like(fmt::format("{}.{}", name, key_text(entry.key())), entry.value()));
    }
    return made;
  }
  return example;
}

c10::IValue InputMaker::make(const c10::TypePtr& type, const InputNode& node,
                             const c10::IValue* example, const std::string& name) {
  if (node.spec) return from_spec(type, *node.spec, name);
  if (!node.elements.empty()) return from_elements(type, node, example, name);
  if (example) return like(name, *example);
  throw_usage_error(fmt::format("--input: nothing is given for '{}' ({}). Accepted: {}.", name,
                                type->repr_str(), accepted_input(*type, name)));
}

c10::IValue InputMaker::from_spec(c10::TypePtr type, const InputSpec& spec,
                                  const std::string& name) {
  const bool is_optional = type->kind() == TypeKind::OptionalType;
  if (spec.value == "none" && (is_optional || type->kind() == TypeKind::NoneType)) {
    records.push_back({name, {"None", {}, 0, 0}, "none"});
    return {};
  }
  type = without_optional(type);
  if (spec.value.starts_with('@')) {
    return from_file(type, read_value_file(parse_tensor_spec(spec).file), spec, name);
  }
  if (is_plain(*type)) return plain_value(*type, spec, name);
  if (takes_tensor(*type)) return tensor(name, parse_tensor_spec(spec));
  if (const auto list = type->cast<c10::ListType>(); list && spec.value == "[]") {
    return c10::impl::GenericList(list->getElementType());
  }
  if (const auto dict = type->cast<c10::DictType>(); dict && spec.value == "{}") {
    return c10::impl::GenericDict(dict->getKeyType(), dict->getValueType());
  }
  reject_type(*type, spec, name);
}

c10::IValue InputMaker::plain_value(const c10::Type& type, const InputSpec& spec,
                                    const std::string& name) {
  const std::string& text = spec.value;
  if (type.kind() != c10::TypeKind::StringType && text.starts_with("scalar")) {
    return *plain_from(type, tensor(name, parse_tensor_spec(spec)).cpu());
  }
  const auto value = parse_plain(type, text);
  if (!value) reject_type(type, spec, name);
  records.push_back({name, {type.repr_str(), {}, 1, 0}, text});
  return *value;
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

c10::IValue InputMaker::from_file(const c10::TypePtr& type, const c10::IValue& value,
                                  const InputSpec& spec, const std::string& name) {
  const auto child = [&](const auto& key) { return fmt::format("{}.{}", name, key); };
  if (type->kind() == TypeKind::OptionalType && value.isNone()) return value;
  const c10::TypePtr inner = without_optional(type);
  if (is_plain(*inner)) {
    if (auto number = plain_from(*inner, value)) return *number;
  } else if (value.isTensor() && takes_tensor(*inner)) {
    return record(name, value.toTensor(), "file");
  } else if (const auto tuple = inner->cast<c10::TupleType>()) {
    const auto types = tuple->elements();
    if (value.isTuple() && value.toTupleRef().elements().size() == types.size()) {
      std::vector<c10::IValue> elements;
      for (size_t i = 0; i < types.size(); ++i) {
        elements.push_back(from_file(types[i], value.toTupleRef().elements()[i], spec, child(i)));
      }
      return c10::ivalue::Tuple::createNamed(std::move(elements), tuple);
    }
  } else if (const auto list = inner->cast<c10::ListType>(); list && value.isList()) {
    c10::impl::GenericList made(list->getElementType());
    for (const c10::IValue& element : value.toListRef()) {
      made.push_back(from_file(list->getElementType(), element, spec, child(made.size())));
    }
    return made;
  } else if (const auto dict = inner->cast<c10::DictType>(); dict && value.isGenericDict()) {
    c10::impl::GenericDict made(dict->getKeyType(), dict->getValueType());
    for (const auto& entry : value.toGenericDict()) {
      const std::string path = child(key_text(entry.key()));
      made.insert(from_file(dict->getKeyType(), entry.key(), spec, path + " (key)"),
                  from_file(dict->getValueType(), entry.value(), spec, path));
    }
    return made;
  }
  reject_input(spec,
               fmt::format("the file holds a value of type {}, and '{}' is of type {}",
                           value.type()->repr_str(), name, type->repr_str()),
               accepted_input(*type, name));
}

}  // namespace invact
