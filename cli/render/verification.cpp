// What `invact verify` found, and what `invact rewrite` found before it renamed its file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

std::string reference_text(const Verification& verification) {
  if (!verification.reference_distance) return "no float64 reference";
  return fmt::format("original's own distance from float64: {:.2g}",
                     *verification.reference_distance);
}

}  // namespace

std::string render_runs(const std::vector<Verification>& runs, const RenderOptions& options) {
  if (runs.size() < 2) return "";
  const Style& style = options.style;
  std::string text = heading(fmt::format("RUNS ({}; the worst below)", runs.size()), style);
  for (const Verification& run : runs) {
    std::vector<std::string> inputs;
    for (const InputRecord& input : run.inputs) {
      inputs.push_back(fmt::format("{} {}", input.name, tensor_text(input.tensor)));
    }
    text += fmt::format(
        "  {}{}{}  seed {:<4} {:>10} -> {:>10}  distance {:.2g} (allowed {:.2g})  {}\n",
        run.passed ? style.good : style.bad, run.passed ? "passed" : "FAILED", style.reset,
        run.seed, format_bytes(run.saved_bytes_before), format_bytes(run.saved_bytes_after),
        run.gradient_distance, run.gradient_tolerance, fmt::join(inputs, ", "));
  }
  return text;
}

std::string render_verification(const Verification& verification, const RenderOptions& options) {
  const Style& style = options.style;
  std::string text = heading("VERIFICATION", style);
  const int64_t freed = verification.saved_bytes_before - verification.saved_bytes_after;
  text += fmt::format(
      "  saved bytes  {} -> {}  ({} freed, {:.1f} %{})\n",
      format_bytes(verification.saved_bytes_before), format_bytes(verification.saved_bytes_after),
      format_bytes(freed), percent(freed, verification.saved_bytes_before),
      verification.predicted_bytes == verification.saved_bytes_after ? ", as predicted to the byte"
                                                                     : "");
  double output_error = 0;
  for (const auto& output : verification.outputs) {
    output_error = std::max(output_error, output.max_abs_error);
  }
  text += fmt::format("  outputs      {} compared, {}\n", verification.outputs.size(),
                      output_error == 0 ? "equal bit for bit"
                                        : fmt::format("largest difference {:.3g}", output_error));
  text += fmt::format("  gradients    {} compared, distance {:.2g} (allowed {:.2g}; {})\n",
                      verification.gradients.size(), verification.gradient_distance,
                      verification.gradient_tolerance, reference_text(verification));
  if (!verification.gradients.empty() && verification.gradient_distance > 0) {
    const TensorComparison& worst = verification.gradients.front();
    text +=
        fmt::format("               worst: {} [{}], {:.6g} became {:.6g}\n", worst.name,
                    fmt::join(worst.worst_index, ","), worst.worst_original, worst.worst_rewritten);
  }
  text += fmt::format("  seed         {}\n", verification.seed);
  for (const std::string& note : verification.notes)
    text += fmt::format("  note         {}\n", note);
  for (const std::string& failure : verification.failures) {
    text += fmt::format("  {}FAILED{}       {}\n", style.bad, style.reset, failure);
  }
  if (verification.passed) text += fmt::format("  {}PASSED{}\n", style.good, style.reset);
  return text;
}

}  // namespace invact
