#include "analyzer/inputs/input_maker.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>

#include "analyzer/error.h"
#include "analyzer/inputs/tensor_file.h"
#include "analyzer/model/model.h"

namespace invact {
namespace {

using c10::TypeKind;

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

template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  Number value{};
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

/// A tensor of one element serves for a number, as PyTorch itself lets it.
std::optional<c10::IValue> number_from(const c10::Type& type, const c10::IValue& value) {
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

[[noreturn]] void reject_type(const c10::Type& type, const InputSpec& spec,
                              const std::string& name) {
  reject_input(
      spec, fmt::format("'{}' is of type {}, which '{}' is not", name, type.repr_str(), spec.value),
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
  if (type.kind() != TypeKind::StringType && text.starts_with("scalar")) {
    return *number_from(type, tensor(name, parse_tensor_spec(spec)).cpu());
  }
  c10::IValue value;
  if (type.kind() == TypeKind::StringType) {
    value = text;
  } else if (type.kind() == TypeKind::BoolType) {
    if (text == "true" || text == "True" || text == "1") value = true;
    if (text == "false" || text == "False" || text == "0") value = false;
  } else if (const auto whole = parse_number<int64_t>(text)) {
    value = type.kind() == TypeKind::FloatType ? c10::IValue(static_cast<double>(*whole)) : *whole;
  } else if (const auto number = parse_number<double>(text);
             number && type.kind() != TypeKind::IntType) {
    value = *number;
  }
  if (value.isNone()) reject_type(type, spec, name);
  records.push_back({name, {type.repr_str(), {}, 1, 0}, text});
  return value;
}

c10::IValue InputMaker::from_file(const c10::TypePtr& type, const c10::IValue& value,
                                  const InputSpec& spec, const std::string& name) {
  const auto child = [&](const auto& key) { return fmt::format("{}.{}", name, key); };
  if (type->kind() == TypeKind::OptionalType && value.isNone()) return value;
  const c10::TypePtr inner = without_optional(type);
  if (is_plain(*inner)) {
    if (auto number = number_from(*inner, value)) return *number;
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
