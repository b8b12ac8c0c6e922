#include "rewriter/verification/verify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analyzer/error.h"
#include "analyzer/reporting/build_report.h"
#include "rewriter/editing/original_code.h"
#include "rewriter/verification/float64_reference.h"
#include "rewriter/verification/gradient_distance.h"
#include "rewriter/verification/tolerance.h"

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
  double largest = 0, square = 0, other_square = 0, product = 0;
  int64_t worst = -1;
  visit_pieces(original, rewritten, [&](int64_t first, const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor equal = a.eq(b).logical_or(a.isnan().logical_and(b.isnan()));
    const at::Tensor error = (a - b).abs().masked_fill(equal, 0).nan_to_num(INFINITY, INFINITY);
    const int64_t at = error.argmax().item<int64_t>();
    if (const double value = error[at].item<double>(); worst < 0 || value > result.max_abs_error) {
      worst = first + at;
      result.max_abs_error = value;
      result.worst_original = a[at].item<double>();
      result.worst_rewritten = b[at].item<double>();
    }
    largest = std::max(largest, a.abs().nan_to_num(0, 0, 0).max().item<double>());
    square += std::pow(a.norm().item<double>(), 2);
    other_square += std::pow(b.norm().item<double>(), 2);
    product += a.dot(b).item<double>();
  });
  result.max_rel_error = largest > 0 ? result.max_abs_error / largest : result.max_abs_error;
  const double norms = std::sqrt(square) * std::sqrt(other_square);
  result.cosine = norms > 0 ? product / norms : 1;
  result.worst_index = unravel(worst, original.sizes());
  return result;
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
  std::vector<GradientDifference> differences;
  for (size_t i = 0; i < original.gradients.size(); ++i) {
    differences.push_back(difference_of(original.gradients[i].value, rewritten.gradients[i].value));
  }
  const auto terms = distance_terms(differences);
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
                            const RunSettings& settings, const VerificationOptions& options) {
  Verification result;
  result.seed = settings.seed;
  result.inputs = inputs.records;
  result.predicted_bytes = options.predicted_bytes;
  result.saved_bytes_before = options.saved_bytes_before
                                  ? *options.saved_bytes_before
                                  : observed_bytes(original, inputs, settings);
  result.saved_bytes_after = observed_bytes(rewritten, inputs, settings);
  if (options.predicted_bytes && *options.predicted_bytes != result.saved_bytes_after) {
    result.failures.push_back(
        fmt::format("The rewritten model keeps {} bytes, but {} were predicted.",
                    result.saved_bytes_after, *options.predicted_bytes));
  }
  const std::string dtype =
      settings.autocast ? dtype_name(*settings.autocast) : lowest_dtype(original);
  const StepResult before = run_step(original, inputs, settings);
  {
    const StepResult after = run_step(rewritten, inputs, settings);
    compare_outputs(
        before, after,
        options.exact ? 0 : output_tolerance(dtype, has_original_code(rewritten.module)), result);
    compare_gradients(before, after, result);
  }
  if (dtype != "float64") {
    result.reference_distance =
        reference_distance(original, inputs, settings, before, dtype, result.notes);
  }
  judge_gradients(dtype, options.exact, result);
  result.passed = result.failures.empty();
  return result;
}

}  // namespace invact
