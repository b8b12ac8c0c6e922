// The one table of tolerances that a rewritten model must meet, each with its reason.
#pragma once

#include <string>

namespace invact {

/// Largest allowed difference of an output's elements, over its largest magnitude. None where one
/// operator replaced one: it calls ATen's own forward, and anything else than the same bits is a
/// fault. Where an operator replaced a written-out function, each result may round differently in
/// its last place (DESIGN section 8), and what a model makes of that is as large as what it makes
/// of any rounding: the allowance for gradients.
double output_tolerance(const std::string& dtype, bool replaces_written_out);

/// Largest allowed gradient distance (DESIGN section 2) where the lowest floating dtype among the
/// parameters is `dtype`. Reasons: the error of f' recovered from an output stored in that dtype
/// (kernels/catalog.h), which is dominated by the few elements near f's minimum and averages out
/// over a gradient.
///   float64   1e-7: sqrt of the rounding unit at the minimum, 1e-8, times a margin for depth.
///   float32   1e-5: the project's promise (DESIGN section 2), about ten times what real models
///   show. float16   5e-3, bfloat16 4e-2: rounding of the gradients themselves (2^-11, 2^-8)
///   through tens of layers.
double gradient_tolerance(const std::string& dtype);

}  // namespace invact
