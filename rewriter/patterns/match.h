// What a pattern found in the inlined graph, and what would take its place. Every pattern gives
// a Match; legality, planning and prediction know no more of it.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/graph/graph_nodes.h"
#include "rewriter/graph/observed_savers.h"
#include "rewriter/plan.h"

namespace invact {

/// What one execution of a replacement saves for backward.
struct SavedInstead {
  std::optional<StorageId> storage;  ///< Its result's, or one that its result will be.
  int64_t bytes = 0;                 ///< What it saves beside that.
};

/// A value, named by a matched node that reads it: the same node in the model's own code reads the
/// same value there.
struct NodeInput {
  torch::jit::Node* node = nullptr;
  size_t position = 0;

  torch::jit::Value* value() const { return node->input(position); }
};

/// The dtype of a tensor value.
struct DtypeOf {
  NodeInput tensor;
};

using MatchArgument = std::variant<NodeInput, DtypeOf, c10::IValue>;

/// How the gradients of a replacement compare with the original's.
enum class GradientBits { kRounded, kSame };

/// Whether a plan lists a site that it does not accept. It does not list a better form of a site
/// that stands for itself, nor a segment that was not asked for by name.
enum class Listing { kAlways, kWhenAccepted };

struct Match {
  std::string op;  ///< "aten::gelu", "written-out gelu".
  /// Other names that --only and --skip know it by.
  std::vector<std::string> aliases;
  /// The nodes that it replaces, in the order of running, all in one block of one method or
  /// function. The last one makes the output, and no other node reads what the others make.
  std::vector<torch::jit::Node*> nodes;
  std::string replacement;  ///< "invact::gelu"; unused for a segment, whose edit is Recompute.
  std::string strategy;     ///< "output", "closed", "recompute".
  /// The replacement's arguments; none: those of its one node.
  std::vector<MatchArgument> arguments;
  GradientBits gradients = GradientBits::kRounded;
  Listing listing = Listing::kAlways;
  /// How many eighths of its largest tensor it must free, over what the sites free that need none.
  /// A segment takes time to run again; an operator whose weights training may move to where it
  /// saves its input again is not to be preferred to a segment, which does not depend on them.
  int64_t required_eighths = 0;
  /// How results round otherwise than the original's, as a sentence; empty: they are the same bits.
  std::string rounding;
  /// Why this call cannot be replaced, whatever its surroundings.
  std::optional<Rejection> refusal;
  /// What `output`, the call that makes the result, saves once replaced, or why it would save what
  /// the original saves. Null where a refusal says already that nothing is replaced, and for a
  /// segment, of which planning/segment_candidates knows it.
  std::function<std::variant<SavedInstead, Rejection>(const OperatorCall& output, const Report&)>
      saved_instead;
  /// The tensors that a segment saves in order to run again.
  std::vector<torch::jit::Value*> inputs;
  std::string gain;  ///< "keeps its output, which is kept anyway, instead of its input".

  torch::jit::Node* output() const { return nodes.back(); }
  /// Whether more changes than the name of one node's operator.
  bool has_arguments() const { return !arguments.empty(); }
};

/// What patterns may ask besides the graph. All must outlive the matches.
struct MatchContext {
  const torch::jit::Module& top;
  const ObservedSavers& savers;  ///< Of the observed step.
  bool on_cpu = true;            ///< Where the observed step ran.
};

/// The dtype of a tensor where the library has operators for it: float64, float32, bfloat16,
/// float16; none for another.
std::optional<at::ScalarType> operator_dtype(const TensorFacts& tensor);

/// Says that operator_dtype() knows no operator for a tensor like this.
Rejection other_dtype(const TensorFacts& tensor);

}  // namespace invact
