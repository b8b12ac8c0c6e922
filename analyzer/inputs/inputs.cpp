#include "analyzer/inputs/inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "analyzer/error.h"
#include "analyzer/inputs/input_maker.h"
#include "analyzer/inputs/input_types.h"

namespace invact {
namespace {

std::string argument_names(const c10::FunctionSchema& schema) {
  std::vector<std::string> names;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    names.push_back(schema.arguments()[i].name());
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

/// Hangs `spec` into the tree of what is given for one argument.
void add_spec(InputNode& argument, const InputSpec& spec) {
  InputNode* node = &argument;
  for (const std::string& key : spec.elements) {
    if (node->spec) {
      throw_usage_error(fmt::format("--input: '{}' is given whole and in part ('{}').",
                                    input_name(*node->spec), input_name(spec)));
    }
    auto& elements = node->elements;
    auto found = std::find_if(elements.begin(), elements.end(),
                              [&](const InputNode& element) { return element.key == key; });
    if (found == elements.end())
      found = elements.insert(elements.end(), InputNode{key, nullptr, {}});
    node = &*found;
  }
  if (!node->is_empty()) {
    throw_usage_error(fmt::format("--input: '{}' is given twice.", input_name(spec)));
  }
  node->spec = &spec;
}

/// What is given for each argument; index = argument. Named specs first, the others fill the free
/// places in order.
std::vector<InputNode> assign_specs(const c10::FunctionSchema& schema,
                                    const std::vector<InputSpec>& specs) {
  std::vector<InputNode> assigned(schema.arguments().size());
  for (const InputSpec& spec : specs) {
    if (spec.name.empty()) continue;
    const auto index = schema.argumentIndexWithName(spec.name);
    if (!index || *index == 0) {
      throw_usage_error(fmt::format("--input: forward has no argument '{}'; it has: {}.", spec.name,
                                    argument_names(schema)));
    }
    add_spec(assigned[*index], spec);
  }
  size_t next = 1;
  for (const InputSpec& spec : specs) {
    if (!spec.name.empty()) continue;
    while (next < assigned.size() && !assigned[next].is_empty()) ++next;
    if (next == assigned.size()) {
      throw_usage_error(fmt::format("--input: more inputs than arguments; forward has: {}.",
                                    argument_names(schema)));
    }
    assigned[next].spec = &spec;
  }
  return assigned;
}

[[noreturn]] void report_missing(const c10::FunctionSchema& schema, const c10::Argument& missing) {
  std::vector<std::string> arguments;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const auto& argument = schema.arguments()[i];
    arguments.push_back(fmt::format("{} ({})", argument.name(), argument.type()->repr_str()));
  }
  throw_usage_error(fmt::format(
      "forward needs '{0}', and the file does not carry example inputs (only traced models do). "
      "forward's arguments: {1}. Give --input {2}.",
      missing.name(), fmt::join(arguments, ", "), accepted_input(*missing.type(), missing.name())));
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
    if (!assigned[i].is_empty() || traced) {
      // What the user leaves out of a tuple, list or dict comes from there.
      const c10::IValue* const example = traced                     ? &(*model.traced_inputs)[i - 1]
                                         : argument.default_value() ? &*argument.default_value()
                                                                    : nullptr;
      inputs.values.push_back(maker.make(argument.type(), assigned[i], example, argument.name()));
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
