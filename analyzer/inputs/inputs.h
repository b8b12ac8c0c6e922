// Makes the arguments of `forward`: from the user's `--input`, else from the shapes that a traced
// archive carries.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "analyzer/inputs/input_spec.h"
#include "analyzer/model/model.h"
#include "analyzer/trace.h"

namespace invact {

struct ModelInputs {
  std::vector<c10::IValue> values;   ///< One per argument of `forward` after self.
  std::vector<InputRecord> records;  ///< One per tensor, nested ones flattened in order, and per
                                     ///< plain value that was given.
};

/// Values come from a generator of their own, seeded with `seed`: the same on every call. Floating
/// tensors do not require gradients. @throws Error(kUsage) where an input is missing, unknown,
/// given twice or of another type.
ModelInputs make_inputs(const Model& model, const std::vector<InputSpec>& specs, uint64_t seed,
                        c10::Device device);

}  // namespace invact
