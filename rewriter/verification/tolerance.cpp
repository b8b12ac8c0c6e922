#include "rewriter/verification/tolerance.h"

namespace invact {

double gradient_tolerance(const std::string& dtype) {
  if (dtype == "float64") return 1e-7;
  if (dtype == "float16") return 5e-3;
  if (dtype == "bfloat16") return 4e-2;
  return 1e-5;
}

double output_tolerance(const std::string& dtype, bool replaces_written_out) {
  return replaces_written_out ? gradient_tolerance(dtype) : 0;
}

}  // namespace invact
