// The original model in float64: what its own gradients lie from, by rounding alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/session.h"

namespace invact {

/// The gradient distance of `step`, which `original` ran on these inputs in `dtype`, from its
/// float64 gradient. None, and a note, where it does not run in float64 or computes something else
/// there. The model is loaded once more; of the float64 gradients one is in memory at a time.
std::optional<double> reference_distance(const Model& original, const ModelInputs& inputs,
                                         RunSettings settings, const StepResult& step,
                                         const std::string& dtype, std::vector<std::string>& notes);

}  // namespace invact
