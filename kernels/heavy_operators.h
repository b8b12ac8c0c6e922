// Which ATen operators count as heavy: what they save by themselves is a model's floor. Plain data:
// no torch header.
#pragma once

#include <span>
#include <string_view>

namespace invact::kernels {

/// Whether what this operator saves belongs to a model's floor (matmul,
/// convolution, attention, recurrent cells, embedding and indexing, pooling with indices, sorting,
/// FFT, unknown and custom operators). Pointwise functions, norms, dropout, reductions, views,
/// copies and casts do not. `op`: its qualified name, "aten::gelu".
bool is_heavy(std::string_view op);

/// Those that do not, as ATen names them ("gelu"). The in-place form of one of them does not
/// either.
std::span<const std::string_view> cheap_operators();

}  // namespace invact::kernels
