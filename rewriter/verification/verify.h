// Runs the original and the rewritten model on the same inputs and random numbers and compares
// outputs, every gradient and the saved bytes.
#pragma once

#include <optional>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/session.h"
#include "rewriter/verification/verification.h"

namespace invact {

struct VerificationOptions {
  /// The bytes that the original saves under these settings, if they are known already.
  std::optional<int64_t> saved_bytes_before = {};
  /// The bytes that the rewritten model must save.
  std::optional<int64_t> predicted_bytes = {};
  /// Every output and gradient must be the same bit for bit.
  bool exact = false;
};

/// Runs one step of both models and compares it. The original is loaded once more in float64 for
/// the reference distance.
/// @throws Error where one of the models does not run; a difference is no error but `passed ==
/// false`.
Verification verify_rewrite(Model& original, Model& rewritten, const ModelInputs& inputs,
                            const RunSettings& settings, const VerificationOptions& options = {});

/// Whether `a` says more against the rewrite than `b`: a failure, else the gradient distance that
/// takes more of what is allowed.
bool is_worse(const Verification& a, const Verification& b);

}  // namespace invact
