// Plan: which places of a model are rewritten, which are not and why, and what the rewritten model
// will keep. Plain data; make_plan reads the model and edits nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/report.h"

namespace invact {

struct Model;

/// Where a site's node stands. `graph_fingerprint` guards against applying a plan to another model.
struct SiteLocation {
  std::string module_path;
  std::string module_type;
  std::string method;
  /// Calls of free functions (F.silu) from the method's code to the node's, each an index as below.
  std::vector<int64_t> function_calls;
  /// In the graph of the method or of the last function called, nested blocks and forked tasks
  /// included, in printing order.
  int64_t node_index = 0;
  std::string graph_fingerprint;
  bool operator==(const SiteLocation&) const = default;
};

/// One place in the model where a known pattern stands.
struct Site {
  std::string id;  ///< "features.1.0.block.3/forward#2": stable while the model's code is.
  SiteLocation location;
  std::string op;           ///< "aten::gelu".
  std::string replacement;  ///< "invact::gelu".
  std::string strategy;     ///< "output".
  SourceLocation source;
  bool accepted = false;
  std::string reason_code;  ///< Stable: "accepted", "output_not_kept", ... (legality.h, plan.cpp).
  std::string reason;       ///< For people.
  int64_t saved_bytes_delta = 0;  ///< Against the plan without this site; negative: freed.
  /// How an OperatorCall knows that it is this site's: one of the module's paths, and how its
  /// frames begin. Empty: not known.
  std::vector<std::string> module_paths;
  std::vector<CodeRange> frames;
  bool operator==(const Site&) const = default;
};

struct Plan {
  std::vector<Site> sites;  ///< In forward order of the graphs.
  int64_t saved_bytes_before = 0;
  int64_t saved_bytes_after = 0;   ///< The prediction.
  std::vector<std::string> notes;  ///< Sentences for the user.
  bool operator==(const Plan&) const = default;

  int64_t accepted_count() const;
};

struct PlanOptions {
  std::vector<std::string> only;  ///< Operators ("silu" or "aten::silu") to consider; empty: all.
  std::vector<std::string> skip;  ///< Operators to leave alone.
};

/// Decides every site of `model` from what `report` saw it keep. `report` must come from this
/// model.
/// @throws Error(kUsage) where an option names an operator that invact does not know.
Plan make_plan(const Report& report, const Model& model, const PlanOptions& options);

}  // namespace invact
