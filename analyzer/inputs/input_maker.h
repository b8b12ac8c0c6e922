// Makes one value for a type of TorchScript: from what the user wrote, from a file, or after an
// example, nested ones element by element. inputs.cpp decides which value belongs to which
// argument.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "analyzer/inputs/input_spec.h"
#include "analyzer/trace.h"

namespace invact {

/// What the user gave for one value: a spec for the whole, or nodes for some of its elements.
struct InputNode {
  std::string key;  ///< Of the element; the argument's name at the top.
  const InputSpec* spec = nullptr;
  std::vector<InputNode> elements;
  bool is_empty() const { return spec == nullptr && elements.empty(); }
};

class InputMaker {
 public:
  InputMaker(uint64_t seed, c10::Device device);

  /// A value of `type`. What `node` leaves out is made after `example`, where there is one.
  /// @throws Error(kUsage) where something is missing, unknown or of another type.
  c10::IValue make(const c10::TypePtr& type, const InputNode& node, const c10::IValue* example,
                   const std::string& name);

  /// The structure of `example` (tensors, tuples, lists, dicts, plain values), with fresh tensors.
  c10::IValue like(const std::string& name, const c10::IValue& example);

  std::vector<InputRecord> records;

 private:
  c10::IValue from_spec(c10::TypePtr type, const InputSpec& spec, const std::string& name);
  c10::IValue from_elements(c10::TypePtr type, const InputNode& node, const c10::IValue* example,
                            const std::string& name);
  c10::IValue make_tuple(const c10::TupleTypePtr& type, const InputNode& node,
                         const c10::IValue* example, const std::string& name);
  c10::IValue make_list(const c10::ListType& type, const InputNode& node,
                        const c10::IValue* example, const std::string& name);
  c10::IValue make_dict(const c10::DictType& type, const InputNode& node,
                        const c10::IValue* example, const std::string& name);
  c10::IValue from_file(const c10::TypePtr& type, const c10::IValue& value, const InputSpec& spec,
                        const std::string& name);
  c10::IValue plain_value(const c10::Type& type, const InputSpec& spec, const std::string& name);
  at::Tensor tensor(const std::string& name, const TensorSpec& spec);
  at::Tensor record(const std::string& name, const at::Tensor& made, const std::string& fill);

  at::Generator generator_;
  c10::Device device_;
};

}  // namespace invact
