// Which of the loops' instruction sets to run.
#pragma once

namespace invact::kernels::cpu {

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

/// The widest that this processor has and that ATen uses here: who holds ATen to one by
/// ATEN_CPU_CAPABILITY, so that a cluster's machines compute alike, gets the same gradients from
/// all of them.
InstructionSet instruction_set();

/// One of an operation's loops, by instruction_set().
template <class Loop>
Loop* chosen_loop(Loop* baseline, Loop* avx2, Loop* avx512) {
  switch (instruction_set()) {
    case InstructionSet::kAvx512:
      return avx512;
    case InstructionSet::kAvx2:
      return avx2;
    case InstructionSet::kBaseline:
      break;
  }
  return baseline;
}
/// Of loops that AVX-512 does not make faster.
template <class Loop>
Loop* chosen_loop(Loop* baseline, Loop* avx2) {
  return chosen_loop(baseline, avx2, avx2);
}

}  // namespace invact::kernels::cpu
