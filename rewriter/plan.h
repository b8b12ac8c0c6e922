// Plan: which places of a model are rewritten, which are not and why, and how many bytes the
// rewritten model will save. Plain data without torch; planning/planner.h makes it, and
// editing/apply.h carries it out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// A node in some code, or in code that this calls: the index of each call on the way, then the
/// node's own.
using NodePath = std::vector<int64_t>;

/// Where a node stands in the model's own code.
struct CodePlace {
  std::string module_path;
  std::string module_type = {};
  std::string method;
  /// The calls of free functions (F.silu) from the method's code to the node's, each an index as
  /// below.
  std::vector<int64_t> function_calls = {};
  /// In the graph of the method, or of the last function called: the node's number in printing
  /// order, nested blocks and forked tasks included.
  int64_t node_index = 0;
  /// A digest of the code on the way, so that a plan is not applied to another model.
  std::string graph_fingerprint = {};
  bool operator==(const CodePlace&) const = default;
};

/// An argument of the operator that takes a pattern's place.
struct PatternArgument {
  enum class Kind {
    kValue,     ///< The value that a node of the pattern reads.
    kDtype,     ///< The dtype of a tensor that a node of the pattern reads.
    kConstant,  ///< `constant`; None where it holds nothing.
  };
  Kind kind = Kind::kConstant;
  int64_t node_index = 0;  ///< The node that reads it, counted as CodePlace::node_index.
  int64_t position = 0;    ///< Which of its inputs.
  std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>> constant;
  bool operator==(const PatternArgument&) const = default;
};

/// Edit: the node at the site's place becomes another operator with the same arguments.
struct RenameOperator {
  std::string replacement;  ///< "invact::gelu".
  bool operator==(const RenameOperator&) const = default;
};

/// Edit: one operator with arguments of its own takes the place of one or several nodes.
struct ReplacePattern {
  std::string replacement;
  std::vector<int64_t> nodes;  ///< In the order of running; the last stands at the site's place.
  std::vector<PatternArgument> arguments;
  bool operator==(const ReplacePattern&) const = default;
};

/// An operator that reads a segment's result.
struct Consumer {
  enum class Use {
    kReads,
    kSaves,  ///< It saves the tensor for backward.
    /// A linear that saves a contiguous copy of what it reads. It becomes a product and a sum, as
    /// LibTorch computes it, and these read the copy that the segment makes.
    kCopies,
  };
  CodePlace place;
  /// The node that names the tensor there, and which of its inputs it is: the consumer itself, or
  /// the list that it reads.
  int64_t tensor_node = 0;
  int64_t tensor_position = 0;
  Use use = Use::kReads;
  bool is_last = false;  ///< No other operator reads the tensor afterwards.
  bool operator==(const Consumer&) const = default;
};

/// Edit: a segment of cheap operators becomes invact::recompute, which runs it once more in
/// backward.
struct Recompute {
  /// In the order of running, from the code of the site's method; the last makes the result.
  std::vector<NodePath> nodes;
  /// Every operator that reads the result. Empty: the result's memory is not given back.
  std::vector<Consumer> consumers;
  bool operator==(const Recompute&) const = default;
};

/// What rewriting a site changes in the model's code. std::monostate: the site's code cannot be
/// reached before the model runs, so that nothing can be changed.
using Edit = std::variant<std::monostate, RenameOperator, ReplacePattern, Recompute>;

/// "invact::gelu"; "" where there is no edit.
std::string replacement_of(const Edit& edit);

/// Why a site is left alone.
struct Rejection {
  std::string code;    ///< Stable identifier: "output_not_kept", ...
  std::string reason;  ///< A sentence for people.
  bool operator==(const Rejection&) const = default;
};

/// What the plan does with a site.
struct Decision {
  bool accepted = false;
  std::string reason_code;  ///< "accepted", or a Rejection's code.
  std::string reason;       ///< For people: what is gained, or why the site is left alone.
  bool operator==(const Decision&) const = default;
};

/// A node of a pattern, as an observed call of it looks.
struct SiteNode {
  std::string op;
  std::vector<CodeRange> frames;  ///< How the call's frames begin.
  /// Of a node that stands in code that the site's code calls; empty: the site's own.
  std::string module_path = {};
  std::string method = {};
  bool operator==(const SiteNode&) const = default;

  bool is_called_by(const OperatorCall& call) const;
};

/// One place in the model where a known pattern stands.
struct Site {
  std::string id;  ///< "features.1.0.block.3/forward#2": stable while the model's code is.
  CodePlace place;
  Edit edit;
  Decision decision;
  std::string op;        ///< "aten::gelu", "written-out gelu".
  std::string strategy;  ///< "output", "closed", "recompute"; "" where there is no edit.
  SourceLocation source;
  /// Of a segment: how long it ran in the observed forward, all executions together.
  int64_t extra_ns = 0;
  int64_t saved_bytes_delta = 0;  ///< Against the plan without this site; negative: freed.
  /// By these an OperatorCall is known to be this site's: one of the module's paths, and one of the
  /// pattern's nodes, of which the last makes the output. Empty: not known.
  std::vector<std::string> module_paths;
  std::vector<SiteNode> nodes;
  bool operator==(const Site&) const = default;

  /// Whether `call` is an execution of one of its nodes.
  bool is_called_by(const OperatorCall& call) const;
};

struct Plan {
  std::vector<Site> sites;  ///< In the order of running.
  int64_t saved_bytes_before = 0;
  int64_t saved_bytes_after = 0;   ///< The prediction.
  int64_t fewest_saved_bytes = 0;  ///< No choice among the sites that may be accepted saves fewer.
  std::optional<int64_t> budget;  ///< The budget that was asked for; the plan may fall short of it.
  std::vector<std::string> notes;  ///< Sentences for the user.
  bool operator==(const Plan&) const = default;

  int64_t accepted_count() const;
};

}  // namespace invact
