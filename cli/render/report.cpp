// `invact analyze`: head, totals, tables.
#include <fmt/format.h>

#include <map>
#include <set>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

std::string render_head(const Report& report, const RenderOptions& options) {
  std::string text =
      fmt::format("{}{}{}", options.style.bold, report.model.path, options.style.reset);
  text += fmt::format("  parameters {}, buffers {}\n", format_bytes(report.model.parameter_bytes),
                      format_bytes(report.model.buffer_bytes));
  const std::string autocast =
      report.run.autocast.empty() ? "" : fmt::format(", autocast {}", report.run.autocast);
  text += fmt::format("one forward in {} mode on {}, executor {}{}, seed {}", report.run.mode,
                      report.run.device, report.run.executor, autocast, report.run.seed);
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
  if (report.executors) {
    const Totals& eager = report.executors->eager;
    text +=
        line("operator by operator", eager.saved_bytes,
             fmt::format("{} storages, {} tensors with executor eager; rewrites are planned for it",
                         eager.saved_storages, eager.saved_tensors));
  }
  text += line("kept twice", totals.duplicate_bytes,
               fmt::format("{} storages whose content another saved storage carries",
                           report.duplicates.size()));
  std::string leaves = fmt::format("leaves {}", format_bytes(plan.saved_bytes_after));
  if (plan.fewest_saved_bytes < plan.saved_bytes_after) {
    leaves +=
        fmt::format("; whatever is chosen, at least {}", format_bytes(plan.fewest_saved_bytes));
  }
  text += line("a rewrite frees", freed, leaves);
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

/// Storages that only one of the two executors saves. Empty where only one executor was measured.
std::string render_executors(const Report& report, const RenderOptions& options) {
  if (!report.executors) return "";
  std::vector<Row> rows;
  const auto add = [&](const std::vector<StorageGroup>& groups, const char* executor) {
    for (const StorageGroup& group : groups) {
      rows.push_back({group.bytes, group.count,
                      fmt::format("{}: {} {}", executor, group.op,
                                  tensor_text({group.dtype, group.shape, 0, 0})),
                      ""});
    }
  };
  add(report.executors->only_eager, "eager");
  add(report.executors->only_profiling, "default");
  return heading("ONLY WITH ONE EXECUTOR", options.style) +
         render_rows(std::move(rows), report.totals.saved_bytes, options);
}

std::string render_duplicates(const Report& report, const RenderOptions& options) {
  if (report.duplicates.empty()) return "";
  std::vector<Row> rows;
  std::set<DuplicateKind> kinds;
  for (const Duplicate& duplicate : report.duplicates) {
    const OperatorCall& call = report.call(duplicate.call);
    const std::string source = short_source(call.source);
    kinds.insert(duplicate.kind);
    rows.push_back({duplicate.bytes, 1,
                    fmt::format("{}: {} in {}", duplicate_kind_name(duplicate.kind), call.op,
                                module_name(call)),
                    source.empty() ? "" : "  " + source});
  }
  std::string text = heading("KEPT TWICE", options.style) +
                     render_rows(std::move(rows), report.totals.saved_bytes, options);
  for (const DuplicateKind kind : kinds) {
    text += fmt::format("  {}{}: {}{}\n", options.style.dim, duplicate_kind_name(kind),
                        duplicate_advice(kind), options.style.reset);
  }
  return text;
}

}  // namespace

std::string render_report(const Report& report, const Plan& plan, const RenderOptions& options) {
  std::string text = render_head(report, options) + render_totals(report, plan, options);
  if (report.totals.saved_bytes > 0) {
    text += render_operators_table(report, options) + render_module_tree(report, options) +
            render_timeline(report, options) + render_executors(report, options) +
            render_duplicates(report, options);
  }
  text += render_sites(plan, options);
  for (const std::string& note : report.notes) text += fmt::format("\nNote: {}\n", note);
  return text;
}

}  // namespace invact
