#include "rewriter/verify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analyzer/error.h"
#include "analyzer/report.h"
#include "rewriter/kept_code.h"
#include "rewriter/tolerance.h"

namespace invact {
namespace {

using Named = StepResult::Named;

std::vector<int64_t> unravel(int64_t flat, at::IntArrayRef sizes) {
  std::vector<int64_t> index(sizes.size());
  for (size_t i = sizes.size(); i-- > 0;) {
    index[i] = flat % sizes[i];
    flat /= sizes[i];
  }
  return index;
}

/// Elements that are NaN or the same infinity on both sides are equal.
TensorComparison compare(const std::string& name, const at::Tensor& original,
                         const at::Tensor& rewritten) {
  TensorComparison result;
  result.name = name;
  if (!original.defined() || !rewritten.defined() || original.sizes() != rewritten.sizes()) {
    result.missing_in_one = original.defined() != rewritten.defined() ||
                            (original.defined() && original.sizes() != rewritten.sizes());
    return result;
  }
  if (original.numel() == 0) return result;
  const at::Tensor a = original.to(at::kCPU, at::kDouble).flatten();
  const at::Tensor b = rewritten.to(at::kCPU, at::kDouble).flatten();
  const at::Tensor equal = a.eq(b).logical_or(a.isnan().logical_and(b.isnan()));
  const at::Tensor error = (a - b).abs().masked_fill(equal, 0).nan_to_num(INFINITY, INFINITY);
  const int64_t worst = error.argmax().item<int64_t>();
  result.max_abs_error = error[worst].item<double>();
  const double largest = a.abs().nan_to_num(0, 0, 0).max().item<double>();
  result.max_rel_error = largest > 0 ? result.max_abs_error / largest : result.max_abs_error;
  const double norms = a.norm().item<double>() * b.norm().item<double>();
  result.cosine = norms > 0 ? a.dot(b).item<double>() / norms : 1;
  result.worst_index = unravel(worst, original.sizes());
  result.worst_original = a[worst].item<double>();
  result.worst_rewritten = b[worst].item<double>();
  return result;
}

double norm_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(at::kDouble).norm().item<double>() : 0;
}

double difference_norm(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
}

/// Each gradient's term of the gradient distance: |a - b| / max(|a|, largest |a| / 1000).
std::vector<double> distance_terms(const std::vector<Named>& original,
                                   const std::vector<Named>& other) {
  double largest = 0;
  for (const Named& gradient : original) largest = std::max(largest, norm_of(gradient.value));
  std::vector<double> terms(original.size(), 0);
  for (size_t i = 0; i < original.size(); ++i) {
    if (!original[i].value.defined() || !other[i].value.defined()) continue;
    const double scale = std::max(norm_of(original[i].value), largest / 1000);
    const double difference = difference_norm(original[i].value, other[i].value);
    terms[i] = scale > 0 ? difference / scale : difference;
  }
  return terms;
}

/// NaN counts as infinitely far.
double largest_term(const std::vector<double>& terms) {
  double largest = 0;
  for (const double term : terms) largest = std::isnan(term) ? INFINITY : std::max(largest, term);
  return largest;
}

/// Lowest floating precision among the parameters.
std::string lowest_dtype(const Model& model) {
  std::map<std::string, int> rank = {
      {"float64", 0}, {"float32", 1}, {"float16", 2}, {"bfloat16", 3}};
  std::string lowest = "float64";
  bool any = false;
  for (const at::Tensor& parameter : model.module.parameters()) {
    const auto found = rank.find(dtype_name(parameter.scalar_type()));
    if (found == rank.end()) continue;
    if (!any || found->second > rank[lowest]) lowest = found->first;
    any = true;
  }
  return any ? lowest : "float32";
}

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
    const double difference = difference_norm(exact[i].value, outputs[i].value);
    if (!(difference <= rounding * std::max(norm_of(exact[i].value), 1e-30))) return false;
  }
  return true;
}

/// The original's distance from its own float64 gradient.
std::optional<double> reference_distance(const Model& original, const ModelInputs& inputs,
                                         RunSettings settings, const StepResult& step,
                                         const std::string& dtype,
                                         std::vector<std::string>& notes) {
  settings.autocast.reset();
  try {
    Model exact = original.record.path.empty() ? wrap_module(original.module.clone())
                                               : load_model(original.record.path, settings.device);
    convert_to_double(exact.module);
    ModelInputs exact_inputs;
    for (const auto& value : inputs.values) exact_inputs.values.push_back(to_double(value));
    const NoFlashAttention no_flash;
    const StepResult exact_step = run_step(exact, exact_inputs, settings);
    if (exact_step.gradients.size() != step.gradients.size() ||
        !same_function(exact_step.outputs, step.outputs, output_rounding(dtype))) {
      notes.push_back("No float64 reference: in float64 the model computes another function.");
      return std::nullopt;
    }
    return largest_term(distance_terms(exact_step.gradients, step.gradients));
  } catch (const Error& error) {
    notes.push_back(fmt::format("No float64 reference: {}", error.what()));
    return std::nullopt;
  }
}

void compare_outputs(const StepResult& original, const StepResult& rewritten, double tolerance,
                     Verification& result) {
  if (original.outputs.size() != rewritten.outputs.size()) {
    result.failures.push_back(fmt::format("The original has {} floating outputs, the rewritten {}.",
                                          original.outputs.size(), rewritten.outputs.size()));
    return;
  }
  for (size_t i = 0; i < original.outputs.size(); ++i) {
    TensorComparison comparison =
        compare(original.outputs[i].name, original.outputs[i].value, rewritten.outputs[i].value);
    comparison.tolerance = tolerance;
    if (comparison.missing_in_one || !(comparison.max_rel_error <= tolerance)) {
      result.failures.push_back(
          fmt::format("{} differs by up to {:.3g} at [{}] ({:.9g} became {:.9g}).", comparison.name,
                      comparison.max_abs_error, fmt::join(comparison.worst_index, ","),
                      comparison.worst_original, comparison.worst_rewritten));
    }
    result.outputs.push_back(std::move(comparison));
  }
}

void compare_gradients(const StepResult& original, const StepResult& rewritten,
                       Verification& result) {
  if (original.gradients.size() != rewritten.gradients.size()) {
    result.failures.push_back(
        fmt::format("The original has {} trained parameters, the rewritten {}.",
                    original.gradients.size(), rewritten.gradients.size()));
    return;
  }
  const auto terms = distance_terms(original.gradients, rewritten.gradients);
  result.gradient_distance = largest_term(terms);
  for (size_t i = 0; i < terms.size(); ++i) {
    const Named& before = original.gradients[i];
    const Named& after = rewritten.gradients[i];
    if (before.name != after.name) {
      result.failures.push_back(
          fmt::format("Parameter '{}' of the original is '{}' in the rewritten model.", before.name,
                      after.name));
    }
    TensorComparison comparison = compare(before.name, before.value, after.value);
    comparison.distance = terms[i];
    if (comparison.missing_in_one) {
      result.failures.push_back(
          fmt::format("Parameter '{}' has a gradient in one model only.", before.name));
    }
    result.gradients.push_back(std::move(comparison));
  }
  std::stable_sort(result.gradients.begin(), result.gradients.end(),
                   [](const auto& a, const auto& b) { return a.distance > b.distance; });
}

void judge_gradients(const std::string& dtype, bool exact, Verification& result) {
  result.gradient_tolerance = exact ? 0 : gradient_tolerance(dtype);
  if (result.reference_distance && !exact) {
    result.gradient_tolerance = std::max(result.gradient_tolerance, 2 * *result.reference_distance);
  }
  for (auto& gradient : result.gradients) gradient.tolerance = result.gradient_tolerance;
  if (result.gradient_distance <= result.gradient_tolerance) return;
  const TensorComparison& worst = result.gradients.front();
  result.failures.push_back(
      fmt::format("The gradient of '{}' lies {:.3g} from the original's, more than {:.3g}; its "
                  "worst element is "
                  "[{}] ({:.9g} became {:.9g}).",
                  worst.name, worst.distance, result.gradient_tolerance,
                  fmt::join(worst.worst_index, ","), worst.worst_original, worst.worst_rewritten));
}

int64_t observed_bytes(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  return build_report(observe_forward(model, inputs, settings)).totals.saved_bytes;
}

/// Of 1: the whole tolerance.
double used_tolerance(const Verification& verification) {
  return verification.gradient_tolerance > 0
             ? verification.gradient_distance / verification.gradient_tolerance
             : verification.gradient_distance;
}

}  // namespace

bool is_worse(const Verification& a, const Verification& b) {
  if (a.passed != b.passed) return b.passed;
  return used_tolerance(a) > used_tolerance(b);
}

Verification verify_rewrite(Model& original, Model& rewritten, const ModelInputs& inputs,
                            const RunSettings& settings, std::optional<int64_t> saved_bytes_before,
                            std::optional<int64_t> predicted_bytes, bool exact) {
  Verification result;
  result.seed = settings.seed;
  result.inputs = inputs.records;
  result.predicted_bytes = predicted_bytes;
  result.saved_bytes_before =
      saved_bytes_before ? *saved_bytes_before : observed_bytes(original, inputs, settings);
  result.saved_bytes_after = observed_bytes(rewritten, inputs, settings);
  if (predicted_bytes && *predicted_bytes != result.saved_bytes_after) {
    result.failures.push_back(
        fmt::format("The rewritten model keeps {} bytes, but {} were predicted.",
                    result.saved_bytes_after, *predicted_bytes));
  }
  const std::string dtype =
      settings.autocast ? dtype_name(*settings.autocast) : lowest_dtype(original);
  const StepResult before = run_step(original, inputs, settings);
  {
    const StepResult after = run_step(rewritten, inputs, settings);
    compare_outputs(before, after,
                    exact ? 0 : output_tolerance(dtype, has_kept_code(rewritten.module)), result);
    compare_gradients(before, after, result);
  }
  if (dtype != "float64") {
    result.reference_distance =
        reference_distance(original, inputs, settings, before, dtype, result.notes);
  }
  judge_gradients(dtype, exact, result);
  result.passed = result.failures.empty();
  return result;
}

}  // namespace invact
