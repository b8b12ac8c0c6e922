#include "kernels/cpu/instruction_set.h"

#include <cstdlib>
#include <string_view>

namespace invact::kernels::cpu {
namespace {

// F16C, whose name not every compiler knows here, is older than AVX2 in every line of processors.
bool processor_has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

bool processor_has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// Empty where ATen's own choice is not restricted; it ignores a value that it does not know.
std::string_view capability_asked_for() {
  const char* const value = std::getenv("ATEN_CPU_CAPABILITY");
  return value == nullptr ? "" : value;
}

}  // namespace

bool has_avx2() {
  static const bool has = capability_asked_for() != "default" && processor_has_avx2();
  return has;
}

bool has_avx512() {
  static const bool has = has_avx2() && capability_asked_for() != "avx2" && processor_has_avx512();
  return has;
}

}  // namespace invact::kernels::cpu
