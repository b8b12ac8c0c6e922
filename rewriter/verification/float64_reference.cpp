#include "rewriter/verification/float64_reference.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "analyzer/error.h"
#include "rewriter/verification/gradient_distance.h"

namespace invact {
namespace {

using Named = StepResult::Named;

c10::IValue to_double(const c10::IValue& value) {
  if (value.isTensor() && value.toTensor().is_floating_point())
    return value.toTensor().to(at::kDouble);
  if (value.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const auto& element : value.toTupleRef().elements())
      elements.push_back(to_double(element));
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> tensors;
    for (const at::Tensor& tensor : value.toTensorVector()) {
      tensors.push_back(tensor.is_floating_point() ? tensor.to(at::kDouble) : tensor);
    }
    return tensors;
  }
  return value;
}

/// Floating parameters and buffers alone: Module::to(kDouble) would convert token tables as well.
void convert_to_double(torch::jit::Module& module) {
  const auto convert = [](const at::Tensor& tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(at::kDouble));
  };
  for (const at::Tensor& parameter : module.parameters()) convert(parameter);
  for (const at::Tensor& buffer : module.buffers()) convert(buffer);
}

/// LibTorch 2.11's CPU flash attention reads a float32 mask, which a trace may hold as a constant,
/// as if it were float64.
class NoFlashAttention {
 public:
  NoFlashAttention() : before_(at::globalContext().userEnabledFlashSDP()) {
    at::globalContext().setSDPUseFlash(false);
  }
  ~NoFlashAttention() { at::globalContext().setSDPUseFlash(before_); }
  NoFlashAttention(const NoFlashAttention&) = delete;
  NoFlashAttention& operator=(const NoFlashAttention&) = delete;

 private:
  bool before_;
};

/// What rounding of any depth makes of outputs, relatively.
double output_rounding(const std::string& dtype) {
  if (dtype == "bfloat16") return 2e-1;
  if (dtype == "float16") return 3e-2;
  return 1e-3;
}

/// Whether float64 computed the same function. It does not where a dtype is baked into the code, or
/// where random numbers are drawn differently; such a run is no reference.
bool same_function(const std::vector<Named>& exact, const std::vector<Named>& outputs,
                   double rounding) {
  if (exact.size() != outputs.size()) return false;
  for (size_t i = 0; i < exact.size(); ++i) {
    if (exact[i].value.sizes() != outputs[i].value.sizes()) return false;
    const auto [norm, difference] = difference_of(exact[i].value, outputs[i].value);
    if (!(difference <= rounding * std::max(norm, 1e-30))) return false;
  }
  return true;
}

}  // namespace

std::optional<double> reference_distance(const Model& original, const ModelInputs& inputs,
                                         RunSettings settings, const StepResult& step,
                                         const std::string& dtype,
                                         std::vector<std::string>& notes) {
  settings.autocast.reset();
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < step.gradients.size(); ++i) place[step.gradients[i].name] = i;
  std::vector<GradientDifference> differences(step.gradients.size());
  const auto take = [&](const std::string& name, const at::Tensor& exact) {
    const auto found = place.find(name);
    if (found == place.end()) return;
    differences[found->second] = difference_of(exact, step.gradients[found->second].value);
  };
  try {
    Model exact = original.record.path.empty() ? wrap_module(original.module.clone())
                                               : load_model(original.record.path, settings.device);
    convert_to_double(exact.module);
    ModelInputs exact_inputs;
    for (const auto& value : inputs.values) exact_inputs.values.push_back(to_double(value));
    const NoFlashAttention no_flash;
    const StepResult exact_step = run_step(exact, exact_inputs, settings, take);
    if (!same_function(exact_step.outputs, step.outputs, output_rounding(dtype))) {
      notes.push_back("No float64 reference: in float64 the model computes another function.");
      return std::nullopt;
    }
    return largest_term(distance_terms(differences));
  } catch (const Error& error) {
    notes.push_back(fmt::format("No float64 reference: {}", error.what()));
    return std::nullopt;
  }
}

}  // namespace invact
