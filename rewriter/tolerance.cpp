#include "rewriter/tolerance.h"

namespace invact {

double gradient_tolerance(const std::string& dtype) {
  if (dtype == "float64") return 1e-7;
  if (dtype == "float16") return 5e-3;
  if (dtype == "bfloat16") return 4e-2;
  return 1e-5;
}

}  // namespace invact
