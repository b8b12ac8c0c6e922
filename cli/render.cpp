#include "cli/render.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/catalog.h"

namespace invact {
namespace {

/// Paths as short as they can be without being mistaken: from the package on.
std::string short_source(const SourceLocation& source) {
  if (source.line == 0) return "";
  std::string file = source.file;
  for (const std::string_view folder : {"site-packages/", "dist-packages/"}) {
    if (const size_t found = file.rfind(folder); found != std::string::npos) {
      file = file.substr(found + folder.size());
    }
  }
  return fmt::format("{}:{}", file, source.line);
}

std::string module_name(const OperatorCall& call) {
  if (!call.attributed) return "(unattributed)";
  return call.module_path.empty() ? "(top)" : call.module_path;
}

double percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string heading(const std::string& text, const Style& style) {
  return fmt::format("\n{}{}{}\n", style.bold, text, style.reset);
}

/// "torch.float32 4x3x224x224".
std::string tensor_text(const TensorFacts& tensor) {
  return tensor.shape.empty() ? fmt::format("{} scalar", tensor.dtype)
                              : fmt::format("{} {}", tensor.dtype, fmt::join(tensor.shape, "x"));
}

struct Row {
  int64_t bytes = 0;
  int64_t count = 0;
  std::string text;
};

/// Rows by bytes, the first `top` of them, then one line for the others.
std::string render_rows(std::vector<Row> rows, int64_t total, const RenderOptions& options) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.bytes > b.bytes; });
  std::string text;
  Row rest;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<int64_t>(i) < options.top) {
      text += fmt::format("  {:>10}  {:>5.1f} %  {:>5}  {}\n", format_bytes(rows[i].bytes),
                          percent(rows[i].bytes, total), rows[i].count, rows[i].text);
    } else {
      rest.bytes += rows[i].bytes;
      rest.count += rows[i].count;
    }
  }
  if (rest.count > 0) {
    text +=
        fmt::format("  {:>10}  {:>5.1f} %  {:>5}  {}({} more rows){}\n", format_bytes(rest.bytes),
                    percent(rest.bytes, total), rest.count, options.style.dim,
                    rows.size() - static_cast<size_t>(options.top), options.style.reset);
  }
  return text;
}

std::string render_head(const Report& report, const RenderOptions& options) {
  std::string text =
      fmt::format("{}{}{}", options.style.bold, report.model.path, options.style.reset);
  text += fmt::format("  parameters {}, buffers {}\n", format_bytes(report.model.parameter_bytes),
                      format_bytes(report.model.buffer_bytes));
  text += fmt::format("one forward in {} mode on {}, executor {}, seed {}", report.run.mode,
                      report.run.device, report.run.executor, report.run.seed);
  for (const InputRecord& input : report.inputs) {
    text += fmt::format("\n  input {}: {}, {}", input.name, tensor_text(input.tensor), input.fill);
  }
  return text + "\n";
}

std::string render_totals(const Report& report, const Plan& plan, const RenderOptions& options) {
  const Totals& totals = report.totals;
  const int64_t freed = plan.saved_bytes_before - plan.saved_bytes_after;
  const auto line = [&](const char* name, int64_t bytes, const std::string& comment) {
    return fmt::format("  {:<22}{:>11}  {:>5.1f} %  {}\n", name, format_bytes(bytes),
                       percent(bytes, totals.saved_bytes), comment);
  };
  std::string text = heading("KEPT FOR BACKWARD", options.style);
  text += line("saved", totals.saved_bytes,
               fmt::format("{} storages, {} tensors; parameters and buffers left out",
                           totals.saved_storages, totals.saved_tensors));
  text += line("kept twice", totals.duplicate_bytes,
               fmt::format("{} storages whose content another saved storage carries",
                           report.duplicates.size()));
  text += line("a rewrite frees", freed,
               fmt::format("leaves {}", format_bytes(plan.saved_bytes_after)));
  text +=
      line("floor", totals.floor_bytes, "what matmul, convolution, attention and the like keep");
  if (totals.unattributed_bytes > 0) {
    text += line("unattributed", totals.unattributed_bytes, "saved where no module could be told");
  }
  return text;
}

std::string render_operators_table(const Report& report, const RenderOptions& options) {
  std::map<std::string, Row> rows;
  for (const StorageRow& storage : report.storages) {
    const OperatorCall& call = report.call(storage.first_call);
    Row& row = rows[call.op];
    row.text = call.op;
    row.bytes += storage.bytes;
    ++row.count;
  }
  std::vector<Row> list;
  for (auto& [op, row] : rows) list.push_back(std::move(row));
  return heading("BY OPERATOR (first saver of each storage)", options.style) +
         render_rows(std::move(list), report.totals.saved_bytes, options);
}

std::string render_modules_table(const Report& report, const RenderOptions& options) {
  std::map<std::string, int64_t> storages;
  for (const StorageRow& storage : report.storages) {
    ++storages[report.call(storage.first_call).module_path];
  }
  std::vector<Row> rows;
  for (const ModuleRow& module : report.modules) {
    const size_t dot = module.type.rfind('.');
    const std::string type = dot == std::string::npos ? module.type : module.type.substr(dot + 1);
    rows.push_back({module.saved_bytes, storages[module.path],
                    fmt::format("{} {}({}){}", module.path.empty() ? "(top)" : module.path,
                                options.style.dim, type, options.style.reset)});
  }
  return heading("BY MODULE (own bytes)", options.style) +
         render_rows(std::move(rows), report.totals.saved_bytes, options);
}

std::string render_duplicates(const Report& report, const RenderOptions& options) {
  if (report.duplicates.empty()) return "";
  std::vector<Row> rows;
  for (const Duplicate& duplicate : report.duplicates) {
    const OperatorCall& call = report.call(duplicate.call);
    rows.push_back(
        {duplicate.bytes, 1,
         fmt::format("input of {} in {}  {}{}{}", call.op, module_name(call), options.style.dim,
                     short_source(call.source), options.style.reset)});
  }
  return heading("KEPT TWICE", options.style) +
         render_rows(std::move(rows), report.totals.saved_bytes, options);
}

std::string render_rejected(const Plan& plan, const RenderOptions& options) {
  std::map<std::string, std::vector<const Site*>> by_reason;
  for (const Site& site : plan.sites) {
    if (!site.accepted) by_reason[site.op + ": " + site.reason].push_back(&site);
  }
  std::string text;
  for (const auto& [reason, sites] : by_reason) {
    text += fmt::format("  {}rejected{}  {:>3} {} [{}]\n", options.style.bad, options.style.reset,
                        sites.size(), reason, sites.front()->reason_code);
    const size_t shown = options.details ? sites.size() : std::min<size_t>(sites.size(), 3);
    for (size_t i = 0; i < shown; ++i) {
      text += fmt::format("                {}  {}{}{}\n", sites[i]->id, options.style.dim,
                          short_source(sites[i]->source), options.style.reset);
    }
    if (shown < sites.size()) {
      text += fmt::format("                {}({} more; --verbose lists all){}\n", options.style.dim,
                          sites.size() - shown, options.style.reset);
    }
  }
  return text;
}

std::string reference_text(const Verification& verification) {
  if (!verification.reference_distance) return "no float64 reference";
  return fmt::format("original's own distance from float64: {:.2g}",
                     *verification.reference_distance);
}

}  // namespace

std::string format_bytes(int64_t bytes) {
  if (std::abs(bytes) < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    value /= 1024;
    if (std::abs(value) < 1023.95) return fmt::format("{:.1f} {}", value, unit);
  }
  return fmt::format("{:.1f} TiB", value / 1024);
}

std::string format_change(int64_t bytes) {
  return fmt::format("{}{}", bytes > 0 ? "+" : "", format_bytes(bytes));
}

std::string render_sites(const Plan& plan, const RenderOptions& options) {
  std::string text = heading("SITES", options.style);
  if (plan.sites.empty()) return text + "  none: no operator that invact replaces\n";
  std::map<std::string, std::pair<int64_t, int64_t>> accepted;
  for (const Site& site : plan.sites) {
    if (!site.accepted) continue;
    auto& [count, bytes] = accepted[fmt::format("{} -> {}", site.op, site.replacement)];
    ++count;
    bytes += site.saved_bytes_delta;
  }
  for (const auto& [what, sums] : accepted) {
    text += fmt::format("  {}accepted{}  {:>3} {}: {}\n", options.style.good, options.style.reset,
                        sums.first, what, format_bytes(sums.second));
  }
  if (options.details) {
    for (const Site& site : plan.sites) {
      if (!site.accepted) continue;
      text +=
          fmt::format("            {:>10}  {}  {}{}{}\n", format_bytes(site.saved_bytes_delta),
                      site.id, options.style.dim, short_source(site.source), options.style.reset);
    }
  }
  text += render_rejected(plan, options);
  for (const std::string& note : plan.notes) text += fmt::format("\nNote: {}\n", note);
  return text;
}

std::string render_report(const Report& report, const Plan& plan, const RenderOptions& options) {
  std::string text = render_head(report, options) + render_totals(report, plan, options);
  if (report.totals.saved_bytes > 0) {
    text += render_operators_table(report, options) + render_modules_table(report, options) +
            render_duplicates(report, options);
  }
  text += render_sites(plan, options);
  for (const std::string& note : report.notes) text += fmt::format("\nNote: {}\n", note);
  return text;
}

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

namespace {

std::string operator_row(const kernels::Activation& row) {
  const auto& bound = row.error_bound;
  return fmt::format("  {:<19}{:<9}{:<22}{:<9}{:>4}  {:<9.1e}{:<9.1e}{:<9.1e}{:.1e}\n", row.aten_op,
                     row.variant, row.invact_op, row.strategy, row.branch_bits_per_element,
                     bound.float64, bound.float32, bound.bfloat16, bound.float16);
}

}  // namespace

std::string render_operators(const RenderOptions& options) {
  const Style& style = options.style;
  std::string text = heading("OPERATORS", style);
  const std::string columns =
      fmt::format("  {:<19}{:<9}{:<22}{:<9}{:>4}  {:<9}{:<9}{:<9}{}\n", "operator", "variant",
                  "replaced by", "strategy", "bits", "float64", "float32", "bfloat16", "float16");
  text += columns;
  for (const auto& row : kernels::activations()) text += operator_row(row);
  text += heading("WRITTEN OUT IN MODELS (no ATen operator; for those who write models)", style);
  text += columns;
  for (const auto& row : kernels::written_out_activations()) text += operator_row(row);
  text += fmt::format(
      "\n  Under the dtypes: the largest error of f' for a correctly rounded output, proved by\n"
      "  {} (strategy output) and\n  {} (closed).\n",
      kernels::proof(kernels::activations().front()),
      kernels::proof(kernels::written_out_activations().back()));
  text += fmt::format("\n  Nothing to replace, ATen keeps the output already:\n  {}.\n",
                      fmt::join(kernels::output_keeping_activations(), ", "));
  return text;
}

}  // namespace invact
