#include "analyzer/inputs.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>

#include "analyzer/error.h"
#include "analyzer/tensor_file.h"

namespace invact {
namespace {

c10::ScalarType scalar_type(const std::string& dtype) {
  for (int8_t i = 0; i < static_cast<int8_t>(c10::ScalarType::NumOptions); ++i) {
    const auto candidate = static_cast<c10::ScalarType>(i);
    if (candidate != c10::ScalarType::Undefined && dtype_name(candidate) == dtype) return candidate;
  }
  throw_internal_error(fmt::format("dtype '{}' passed the parser but is unknown.", dtype));
}

/// Made on the CPU and moved, so that every device gets the same values.
at::Tensor make_tensor(const InputSpec& spec, at::Generator generator) {
  const c10::ScalarType dtype = scalar_type(spec.dtype);
  const auto options = at::TensorOptions().dtype(dtype);
  switch (spec.fill) {
    case InputFill::kFile:
      return read_tensor_file(spec.file);
    case InputFill::kZeros:
      return at::zeros(spec.shape, options);
    case InputFill::kOnes:
      return at::ones(spec.shape, options);
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

InputSpec spec_like(const at::Tensor& example) {
  InputSpec spec;
  spec.shape = example.sizes().vec();
  spec.dtype = dtype_name(example.scalar_type());
  if (c10::isIntegralType(example.scalar_type(), /*includeBool=*/true)) {
    spec.fill = InputFill::kUniform;
    spec.low = 0;
    spec.high = 2;
  }
  return spec;
}

class InputMaker {
 public:
  InputMaker(uint64_t seed, c10::Device device)
      : generator_(at::detail::createCPUGenerator(seed)), device_(device) {}

  at::Tensor tensor(const std::string& name, const InputSpec& spec) {
    at::Tensor made = make_tensor(spec, generator_);
    records.push_back({name, tensor_facts(made), fill_text(spec)});
    return made.to(device_);
  }

  /// The same structure as `example` (tensors, tuples, lists, dicts, plain values), with fresh
  /// tensors.
  c10::IValue like(const std::string& name, const c10::IValue& example) {
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
        made.insert(entry.key(), like(fmt::format("{}.{}", name, made.size()), entry.value()));
      }
      return made;
    }
    return example;
  }

  std::vector<InputRecord> records;

 private:
  at::Generator generator_;
  c10::Device device_;
};

/// Which spec belongs to which argument. Named ones first, the others fill the free places in
/// order.
std::vector<const InputSpec*> assign_specs(const c10::FunctionSchema& schema,
                                           const std::vector<InputSpec>& specs) {
  std::vector<const InputSpec*> assigned(schema.arguments().size(), nullptr);
  const auto names = [&] {
    std::vector<std::string> list;
    for (size_t i = 1; i < schema.arguments().size(); ++i)
      list.push_back(schema.arguments()[i].name());
    return fmt::format("{}", fmt::join(list, ", "));
  };
  for (const InputSpec& spec : specs) {
    if (spec.name.empty()) continue;
    const auto index = schema.argumentIndexWithName(spec.name);
    if (!index || *index == 0) {
      throw_usage_error(
          fmt::format("--input: forward has no argument '{}'; it has: {}.", spec.name, names()));
    }
    if (assigned[*index])
      throw_usage_error(fmt::format("--input: '{}' is given twice.", spec.name));
    assigned[*index] = &spec;
  }
  size_t next = 1;
  for (const InputSpec& spec : specs) {
    if (!spec.name.empty()) continue;
    while (next < assigned.size() && assigned[next]) ++next;
    if (next == assigned.size()) {
      throw_usage_error(
          fmt::format("--input: more inputs than arguments; forward has: {}.", names()));
    }
    assigned[next] = &spec;
  }
  return assigned;
}

c10::IValue convert_to_argument(const c10::Argument& argument, const at::Tensor& tensor) {
  c10::TypePtr type = argument.type();
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  const bool is_number = type->kind() == c10::TypeKind::IntType ||
                         type->kind() == c10::TypeKind::FloatType ||
                         type->kind() == c10::TypeKind::BoolType;
  if (is_number && tensor.numel() == 1) {
    if (type->kind() == c10::TypeKind::IntType) return tensor.item<int64_t>();
    if (type->kind() == c10::TypeKind::FloatType) return tensor.item<double>();
    return tensor.item<bool>();
  }
  if (!c10::TensorType::get()->isSubtypeOf(*type)) {
    throw_usage_error(fmt::format(
        "--input: forward's argument '{}' is a {}, which --input cannot make; trace the model with "
        "example inputs instead.",
        argument.name(), argument.type()->repr_str()));
  }
  return tensor;
}

[[noreturn]] void report_missing(const c10::FunctionSchema& schema, const c10::Argument& missing) {
  std::vector<std::string> arguments;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const auto& argument = schema.arguments()[i];
    arguments.push_back(fmt::format("{} ({})", argument.name(), argument.type()->repr_str()));
  }
  throw_usage_error(fmt::format(
      "forward needs '{0}', and the file does not carry example inputs (only traced models do). "
      "forward's arguments: {1}. Give --input {0}=8x3x224x224 or the like; accepted: {2}.",
      missing.name(), fmt::join(arguments, ", "), kInputGrammar));
}

}  // namespace

ModelInputs make_inputs(const Model& model, const std::vector<InputSpec>& specs, uint64_t seed,
                        c10::Device device) {
  const auto method = model.module.find_method("forward");
  if (!method) {
    throw_model_error(fmt::format("'{}' has no forward method.", model.record.path));
  }
  const c10::FunctionSchema& schema = method->function().getSchema();
  const auto assigned = assign_specs(schema, specs);
  InputMaker maker(seed, device);
  ModelInputs inputs;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    const bool traced = model.traced_inputs && i - 1 < model.traced_inputs->size();
    if (assigned[i]) {
      inputs.values.push_back(
          convert_to_argument(argument, maker.tensor(argument.name(), *assigned[i])));
    } else if (traced) {
      inputs.values.push_back(maker.like(argument.name(), (*model.traced_inputs)[i - 1]));
    } else if (argument.default_value()) {
      inputs.values.push_back(*argument.default_value());
    } else {
      report_missing(schema, argument);
    }
  }
  inputs.records = std::move(maker.records);
  return inputs;
}

}  // namespace invact
