// What `invact bench` measured: times with their quartiles, and memory.
#include <fmt/format.h>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

/// One unit for all times, so that they can be compared at a glance.
struct TimeUnit {
  const char* name;
  double ns;
};

TimeUnit unit_for(double ns) {
  if (ns < 1e6) return {"us", 1e3};
  if (ns < 1e10) return {"ms", 1e6};
  return {"s", 1e9};
}

std::string render_head(const BenchResult& result, const RenderOptions& options) {
  const Style& style = options.style;
  std::string text = fmt::format("{:<11}{}{}{}\n", result.rewritten ? "original" : "model",
                                 style.bold, result.original.model.path, style.reset);
  if (result.rewritten) {
    text +=
        fmt::format("rewritten  {}{}{}\n", style.bold, result.rewritten->model.path, style.reset);
  }
  const RunRecord& run = result.run;
  text += fmt::format("steps in {} mode on {}, executor {}{}, seed {}, {} CPU thread{}\n", run.mode,
                      run.device, run.executor,
                      run.autocast.empty() ? "" : fmt::format(", autocast {}", run.autocast),
                      run.seed, run.threads, run.threads == 1 ? "" : "s");
  for (const InputRecord& input : result.inputs) {
    text += fmt::format("  input {}: {}, {}\n", input.name, tensor_text(input.tensor), input.fill);
  }
  return text;
}

std::string row_of(const char* name, const std::string& median, const std::string& quartiles) {
  return fmt::format("  {:<11}{:>12}    {}\n", name, median, quartiles);
}

std::string time_row(const char* name, const BenchSide& side, const TimeUnit& unit) {
  const Quartiles of = step_quartiles(side);
  return row_of(name, fmt::format("{:.1f} {}", of.median / unit.ns, unit.name),
                fmt::format("{:.1f} to {:.1f}", of.lower / unit.ns, of.upper / unit.ns));
}

std::string render_times(const BenchResult& result, const RenderOptions& options) {
  const size_t pairs = result.original.step_ns.size();
  std::string text =
      heading(fmt::format("TIME OF A STEP (forward and backward; {} {}, {} before to warm up)",
                          pairs, result.rewritten ? "pairs in turn" : "steps", result.warmup_count),
              options.style);
  const TimeUnit unit = unit_for(step_quartiles(result.original).median);
  text += row_of("", "median", "quartiles");
  text += time_row(result.rewritten ? "original" : "model", result.original, unit);
  if (!result.rewritten) return text;
  text += time_row("rewritten", *result.rewritten, unit);
  const Quartiles ratio = quartiles(time_ratios(result));
  return text +
         row_of("ratio", fmt::format("{:.3f}", ratio.median),
                fmt::format("{:.3f} to {:.3f}  {}rewritten / original, pair by pair{}", ratio.lower,
                            ratio.upper, options.style.dim, options.style.reset));
}

std::string memory_row(const char* name, int64_t original, std::optional<int64_t> rewritten,
                       const char* meaning, const Style& style) {
  std::string text = fmt::format("  {:<11}{:>12}", name, format_bytes(original));
  if (rewritten) {
    const int64_t change = *rewritten - original;
    text += fmt::format("{:>12}{:>13}  {:>+6.1f} %", format_bytes(*rewritten),
                        format_change(change), percent(change, original));
  }
  return text + fmt::format("  {}{}{}\n", style.dim, meaning, style.reset);
}

/// Explains a peak that did not fall although less is saved.
std::string peak_place(const char* name, const MemoryPeak& peak) {
  return fmt::format("  {} peaks in {}, {}\n", name, step_phase_name(peak.phase),
                     peak.op.empty() ? "between operators" : fmt::format("while {} ran", peak.op));
}

std::string render_memory(const BenchResult& result, const RenderOptions& options) {
  const BenchSide& original = result.original;
  const auto& rewritten = result.rewritten;
  std::optional<int64_t> saved_bytes, peak_bytes;
  std::string text = heading(fmt::format("MEMORY OF A STEP ({})", result.allocator), options.style);
  if (rewritten) {
    text += fmt::format("  {:<11}{:>12}{:>12}{:>13}\n", "", "original", "rewritten", "change");
    saved_bytes = rewritten->saved_bytes;
    peak_bytes = rewritten->peak.bytes;
  }
  text +=
      memory_row("saved", original.saved_bytes, saved_bytes, "kept for backward", options.style);
  text += memory_row("peak", original.peak.bytes, peak_bytes, "with parameters and gradients",
                     options.style);
  text += peak_place(rewritten ? "original" : "model", original.peak);
  if (rewritten) text += peak_place("rewritten", rewritten->peak);
  return text;
}

}  // namespace

std::string render_bench(const BenchResult& result, const RenderOptions& options) {
  return render_head(result, options) + render_times(result, options) +
         render_memory(result, options);
}

}  // namespace invact
