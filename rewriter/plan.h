// Plan: which places of a model are rewritten, which are not and why, and what the rewritten model
// will keep. Plain data; make_plan reads the model and edits nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "analyzer/report.h"

namespace invact {

struct Model;

/// An argument of the operator that takes a written-out pattern's place.
struct SiteArgument {
  enum class Kind {
    kValue,     ///< What a node of the pattern reads.
    kDtype,     ///< The dtype of a tensor that a node of the pattern reads.
    kConstant,  ///< `constant`; None where it holds nothing.
  };
  Kind kind = Kind::kConstant;
  int64_t node_index = 0;  ///< As SiteLocation::node_index.
  int64_t position = 0;    ///< Which of its inputs.
  std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>> constant;
  bool operator==(const SiteArgument&) const = default;
};

/// Where somebody reads a region's result: in the code that SiteLocation's first members would
/// name.
struct SiteReader {
  std::string module_path;
  std::string method;
  std::vector<int64_t> function_calls;
  int64_t node_index = 0;
  /// The node that names the tensor there, and which of its inputs it is: the reader itself, or the
  /// list that it reads.
  int64_t tensor_node = 0;
  int64_t tensor_position = 0;
  bool saves = false;  ///< It keeps the tensor for backward.
  bool last = false;   ///< Nobody reads it afterwards.
  /// A linear that makes a copy of what it reads, and keeps that: it becomes a product and a sum,
  /// as LibTorch computes it, which read the copy that the region makes.
  bool copies = false;
  std::string graph_fingerprint;
  bool operator==(const SiteReader&) const = default;
};

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
  /// Of a pattern of several nodes: all of them, in the order of running, and the arguments of what
  /// takes their place. Empty where one node is replaced by one of the same arguments.
  std::vector<int64_t> pattern_nodes;
  std::vector<SiteArgument> arguments;
  /// Of a recompute region: its nodes in the order of running, each behind the calls on the way to
  /// it (the last index is the node's own), and who reads its result; none where the result's
  /// memory is not given back.
  std::vector<std::vector<int64_t>> chain;
  std::vector<SiteReader> readers;
  bool operator==(const SiteLocation&) const = default;
};

/// A node of a pattern, as an OperatorCall of it shows.
struct SiteNode {
  std::string op;
  std::vector<CodeRange> frames;  ///< How the call's frames begin.
  /// Of a node that stands in what the site's code calls; empty: the site's own.
  std::string module_path = {};
  std::string method = {};
  bool operator==(const SiteNode&) const = default;

  bool is_called_by(const OperatorCall& call) const;
};

/// One place in the model where a known pattern stands.
struct Site {
  std::string id;  ///< "features.1.0.block.3/forward#2": stable while the model's code is.
  SiteLocation location;
  std::string op;           ///< "aten::gelu", "written-out gelu".
  std::string replacement;  ///< "invact::gelu".
  std::string strategy;     ///< "output".
  SourceLocation source;
  bool accepted = false;
  std::string reason_code;  ///< Stable: "accepted", "output_not_kept", ... (legality.h, plan.cpp).
  std::string reason;       ///< For people.
  /// Of a chain that is run again: how long it ran in the observed forward, all executions.
  int64_t extra_ns = 0;
  int64_t saved_bytes_delta = 0;  ///< Against the plan without this site; negative: freed.
  /// By these an OperatorCall is known to be this site's: one of the module's paths, and one of the
  /// pattern's nodes, the one that makes the output last. Empty: not known.
  std::vector<std::string> module_paths;
  std::vector<SiteNode> nodes;
  bool operator==(const Site&) const = default;

  /// Whether `call` is an execution of one of its nodes.
  bool is_called_by(const OperatorCall& call) const;
};

struct Plan {
  std::vector<Site> sites;  ///< In forward order of the graphs.
  int64_t saved_bytes_before = 0;
  int64_t saved_bytes_after = 0;   ///< The prediction.
  int64_t fewest_saved_bytes = 0;  ///< No choice among the sites that may be accepted keeps fewer.
  std::optional<int64_t> budget;   ///< What was asked for; the plan may fall short of it.
  std::vector<std::string> notes;  ///< Sentences for the user.
  bool operator==(const Plan&) const = default;

  int64_t accepted_count() const;
};

struct PlanOptions {
  /// Operators to consider: "gelu" (written out or not), "aten::gelu", "written-out gelu"; empty:
  /// all.
  std::vector<std::string> only;
  std::vector<std::string> skip;  ///< Operators to leave alone.
  bool exact = false;             ///< Only what leaves every gradient as it is, bit for bit.
  /// Strategies to consider: "output", "closed", "recompute"; empty: all.
  std::vector<std::string> strategies = {};
  /// Bytes that may be kept, given those that the original keeps: chains are run again only as far
  /// as that needs. Null: as much is freed as can be.
  std::function<int64_t(int64_t saved_bytes_before)> budget = nullptr;
  /// Decisions by Site::id: true for each site to accept; sites that are not named are left alone.
  /// Null: everything that frees bytes is accepted.
  std::optional<std::map<std::string, bool>> decisions = std::nullopt;
};

/// Decides every site of `model` from what `report` saw it keep. `report` must come from this
/// model.
/// @throws Error(kUsage) where an option names an operator or a site that is not there, or accepts
/// a site that cannot be.
Plan make_plan(const Report& report, const Model& model, const PlanOptions& options);

}  // namespace invact
