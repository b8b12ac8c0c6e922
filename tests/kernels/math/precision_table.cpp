// Prints the table of docs/precision.md: how far f' recovered from the stored output lies from the
// true one, per function and dtype, beside the error that no estimator from that output can go
// below. Usage: invact_precision_table > table.md
#include <cmath>
#include <cstdio>
#include <string>
#include <variant>

#include "tests/kernels/math/forms.h"
#include "tests/kernels/math/reference.h"

namespace invact::testing {
namespace {

struct Dtype {
  const char* name;
  ElementType type;
  /// The forms of the AVX-512 loops, which are others (math/table_form.h).
  bool is_avx512 = false;
};
constexpr Dtype kDtypes[] = {
    {"float32", ElementType::kFloat32},   {"float32, AVX-512", ElementType::kFloat32, true},
    {"bfloat16", ElementType::kBFloat16}, {"bfloat16, AVX-512", ElementType::kBFloat16, true},
    {"float16", ElementType::kFloat16},   {"float16, AVX-512", ElementType::kFloat16, true}};

/// Whether AVX-512 has a form of its own.
bool has_table(const Reference& reference) {
  return !std::holds_alternative<kernels::math::Hardswish>(reference.function);
}

Grid inputs_of(ElementType type, double centre) {
  return type == ElementType::kFloat32 ? float32_blocks(centre) : all_codes(format_of(type));
}

std::vector<double> derivative(const ActivationFunction& function, const Dtype& dtype,
                               const StoredOutputs& outputs) {
  if (dtype.is_avx512) return avx512::derivative(function, dtype.type, outputs);
  return kernels::cpu::has_avx2() ? avx2::derivative(function, dtype.type, outputs)
                                  : baseline::derivative(function, dtype.type, outputs);
}

void print_row(const std::string& name, const Dtype& dtype, const ErrorSummary& error,
               const Limit& limit) {
  std::printf("| %s | %s | %.1e | %.2e | %.1e | %.2e | ", name.c_str(), dtype.name, error.max,
              error.rms, limit.half_width, limit.rms);
  // A function whose outputs are one to one with its inputs has no limit; what is left is rounding.
  if (limit.rms > 1e-9) {
    std::printf("%.2f |\n", error.rms / limit.rms);
  } else {
    std::printf("- |\n");
  }
}

void print_table() {
  std::printf(
      "| function | dtype | max error | rms error | limit: max | limit: rms | rms / limit |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const Reference& reference : references()) {
    for (const Dtype& dtype : kDtypes) {
      if (dtype.is_avx512 && !(kernels::cpu::has_avx512() && has_table(reference))) continue;
      const Grid inputs = inputs_of(dtype.type, static_cast<double>(reference.minimum_x));
      const StoredOutputs outputs = stored_outputs(reference, inputs, format_of(dtype.type));
      print_row(reference.name, dtype,
                summarize(reference.derivative, static_cast<double>(reference.minimum_x), inputs,
                          outputs, derivative(reference.function, dtype, outputs)),
                information_limit(reference.derivative, inputs, outputs));
    }
  }
  for (const ClosedReference& reference : closed_references()) {
    for (const Dtype& dtype : kDtypes) {
      if (dtype.is_avx512) continue;  // the same closed forms
      constexpr double kCentre = -1.0;
      const Grid inputs = inputs_of(dtype.type, kCentre);
      StoredOutputs outputs;
      outputs.y = rounded_values(reference.value, inputs, format_of(dtype.type));
      outputs.left.resize(outputs.y.size());
      print_row(reference.name, dtype,
                summarize(reference.derivative, kCentre, inputs, outputs,
                          derivative(reference.function, dtype, outputs)),
                information_limit(reference.derivative, inputs, outputs));
    }
  }
}

}  // namespace
}  // namespace invact::testing

int main() {
  invact::testing::print_table();
}
