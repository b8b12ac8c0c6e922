// Models made from source, rewritten and reloaded, for tests of what a rewrite makes of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rewriter/plan.h"
#include "rewriter/planning/planner.h"
#include "tests/support/models.h"

namespace invact::testing {

constexpr int64_t kColumns = 16;
constexpr int64_t kHidden = 32;

struct Rewrite {
  Model model;
  ModelInputs inputs;
  Plan plan;
  Model rewritten;  ///< Reloaded from the written file.
};

/// Sites that keep their output; no segment is run again.
PlanOptions from_outputs();

/// For kRows x kColumns normal numbers.
Plan plan_of(const torch::jit::Module& module, const PlanOptions& options = from_outputs());

/// Site::reason_code; "no site" where there are fewer.
std::string reason(const Plan& plan, size_t site = 0);

/// With normal numbers of `shape` as the one input.
Rewrite rewrite(const torch::jit::Module& module, const PlanOptions& options = from_outputs(),
                const std::vector<int64_t>& shape = {kRows, kColumns});

/// What the rewritten model is restored to, reloaded from its file. Expects something to be done.
Model restored(const Model& rewritten);

/// Expects the rewritten model to pass verification.
void expect_verified(Rewrite& result);

/// Only what leaves every bit as it is.
PlanOptions exact();

/// Expects the same outputs and gradients, bit for bit, and the bytes that were predicted.
void expect_same_bits(Rewrite& result);

/// What each accepted recompute segment computes.
std::vector<std::string> segments(const Plan& plan);

/// Of forward.
std::string graph_text(const Model& model);

/// Site::op of each site.
std::vector<std::string> ops(const Plan& plan);

/// w: [16, 16]; g and frozen: [16], positive; b and zeros: [16]. `body` is that of forward(self,
/// x), all of it.
torch::jit::Module with_body(const std::string& body);

/// Two linears; `between`, lines of TorchScript, makes y of the first one's result h.
torch::jit::Module with_lines(const std::string& between);

}  // namespace invact::testing
