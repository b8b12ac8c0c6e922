#include "kernels/cpu/instruction_set.h"

#include <ATen/Version.h>

#include <string>

namespace invact::kernels::cpu {
namespace {

InstructionSet widest() {
  const std::string atens = at::get_cpu_capability();
  if (atens == "AVX512" && has_avx512()) return InstructionSet::kAvx512;
  const bool allows_avx2 = atens == "AVX512" || atens == "AVX2";
  return allows_avx2 && has_avx2() ? InstructionSet::kAvx2 : InstructionSet::kBaseline;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet set = widest();
  return set;
}

}  // namespace invact::kernels::cpu
