// Norms and dropout as the bench compares them: operators that are no function of one element.
#pragma once

#include <vector>

#include "bench/operator_table.h"

namespace invact::bench {

/// Norms over rows of 1024 with weight and bias; dropout with p = 0.1.
std::vector<BenchOperator> row_operators();

}  // namespace invact::bench
