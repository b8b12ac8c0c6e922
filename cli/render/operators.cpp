// The catalog, as `invact ops` shows it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "kernels/catalog.h"

namespace invact {
namespace {

std::string operator_row(const kernels::Activation& row) {
  const auto& bound = row.error_bound;
  return fmt::format("  {:<19}{:<9}{:<22}{:<9}{:>4}  {:<9.1e}{:<9.1e}{:<9.1e}{:.1e}\n", row.aten_op,
                     row.variant, row.invact_op, row.strategy, row.branch_bits_per_element,
                     bound.float64, bound.float32, bound.bfloat16, bound.float16);
}

std::string keeping_row(std::string_view op, std::string_view replacement, const char* keeps) {
  return fmt::format("  {:<28}{:<31}{}\n", op, replacement, keeps);
}

std::string norm_and_dropout_rows() {
  std::string text = keeping_row("operator", "replaced by", "keeps");
  for (const auto& row : kernels::norms()) {
    text += keeping_row(
        row.aten_op.empty() ? "RMSNorm written out" : row.aten_op, row.invact_op,
        row.is_per_channel ? "output, a number per channel" : "output, a number per row");
  }
  for (const auto& row : kernels::dropouts()) {
    text += keeping_row(row.aten_op, row.invact_op, "a bit per element");
  }
  text += keeping_row("activation + aten::dropout", "invact::NAME_dropout",
                      "output, at most two bits per element");
  text += "  NAME is one of";
  int64_t column = 0;
  constexpr int64_t kNamesPerLine = 8;
  for (const auto& row : kernels::activation_dropouts()) {
    if (column++ % kNamesPerLine == 0) text += "\n   ";
    text += fmt::format(" {}", row.activation_op.substr(std::string_view("invact::").size()));
  }
  return text + "\n";
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
  text += heading("WRITTEN OUT IN MODELS (no ATen operator)", style);
  text += columns;
  for (const auto& row : kernels::written_out_activations()) text += operator_row(row);
  text += fmt::format(
      "\n  Under the dtypes: the largest error of f' for a correctly rounded output, proved by\n"
      "  {} (strategy output) and\n  {} (closed).\n"
      "  squared_relu's f' has no bound: it is exact where the square is a normal number, and the\n"
      "  figures are of smaller ones.\n",
      kernels::proof(kernels::activations().front()),
      kernels::proof(kernels::written_out_activations().back()));
  text += heading("NORMS AND DROPOUT", style);
  text += norm_and_dropout_rows();
  text += fmt::format("\n  Nothing to replace, ATen keeps the output already:\n  {}.\n",
                      fmt::join(kernels::output_saving_activations(), ", "));
  return text;
}

}  // namespace invact
