// The one table of tolerances that a rewritten model must meet, each with its reason.
#pragma once

#include <string>

namespace invact {

/// Largest allowed difference of an output's elements, over its largest magnitude. None where one
/// operator replaced one: it calls ATen's own forward, and anything else than the same bits is a
/// fault. Where an operator replaced a written-out function, each result may round differently in
/// its last place (ADR 4), and what a model makes of that is as large as what it makes of any
/// rounding: the allowance for gradients.
double output_tolerance(const std::string& dtype, bool replaces_written_out);

/// Largest allowed gradient distance (gradient_distance.h) where the lowest floating dtype among
/// the parameters is `dtype`. It covers the error of f' recovered from an output stored in that
/// dtype (kernels/catalog.h), which is dominated by the few elements near f's minimum and averages
/// out over a gradient.
///
/// float64, 1e-7: the square root of the rounding unit at the minimum, 1e-8, times a margin for
/// depth.
///
/// float32, 1e-5: what docs/exactness.md promises, about ten times what real models show
/// (docs/models.md).
///
/// float16, 5e-3, and bfloat16, 4e-2: the rounding of the gradients themselves (2^-11, 2^-8)
/// through tens of layers.
double gradient_tolerance(const std::string& dtype);

}  // namespace invact
