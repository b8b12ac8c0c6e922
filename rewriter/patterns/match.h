// What a pattern found in the inlined graph, and what would take its place. Every pattern gives
// this; legality, plan and prediction know no more of it.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/planning/prediction.h"

namespace invact {

struct Rejection {
  std::string code;    ///< Stable identifier.
  std::string reason;  ///< A sentence for people.
};

/// What one execution of a replacement keeps for backward.
struct KeptInstead {
  std::optional<StorageId> storage;  ///< Its result's, or one that its result will be.
  int64_t bytes = 0;                 ///< Beside that.
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

struct Match {
  std::string op;  ///< "aten::gelu", "written-out gelu".
  /// Other names that --only and --skip know it by.
  std::vector<std::string> aliases;
  /// What it replaces, in the order of running, all in one block of one method or function; the
  /// last one makes the output, and nobody else reads what the others make.
  std::vector<torch::jit::Node*> nodes;
  std::string replacement;  ///< "invact::gelu".
  std::string strategy;     ///< "output", "closed".
  /// The replacement's arguments; none: those of its one node.
  std::vector<MatchArgument> arguments;
  /// A better form of a site that stands for itself where this one is rejected.
  bool is_refinement = false;
  bool in_place = false;  ///< Writes its input.
  bool is_exact = false;  ///< Every gradient stays the same bit for bit.
  /// Training may well move its weights to where it keeps its input again: a chain does not depend
  /// on them, and is preferred.
  bool may_lapse = false;
  /// How results round otherwise than today's, as a sentence; empty: they are the same bits.
  std::string rounding;
  /// Why this call cannot be replaced, whatever its surroundings.
  std::optional<Rejection> refusal;
  /// What `output`, the call that makes the result, keeps once replaced, or why it would keep what
  /// it keeps today.
  std::function<std::variant<KeptInstead, Rejection>(const OperatorCall& output, const Report&)>
      kept;
  /// Of a chain that is run again in backward: what it keeps for that.
  std::vector<torch::jit::Value*> inputs;
  std::string gain;  ///< "keeps its output, which is kept anyway, instead of its input".

  torch::jit::Node* output() const { return nodes.back(); }
  /// More than the name of one node's operator changes.
  bool has_arguments() const { return !arguments.empty(); }
  bool is_recomputed() const { return strategy == "recompute"; }
};

/// What patterns may ask besides the graph. All must outlive the matches.
struct MatchContext {
  const torch::jit::Module& top;
  const Prediction& prediction;  ///< Who keeps what in the observed step.
  bool on_cpu = true;            ///< Where the observed step ran.
};

/// "aten::gelu" gives "gelu", "invact::rms_norm_cast" "rms_norm_cast".
std::string unqualified(const std::string& op);

/// The tensor behind a value that is a constant or an attribute of a module; an undefined one for
/// None; none where only the run tells.
std::optional<at::Tensor> known_tensor(torch::jit::Value* value, const torch::jit::Module& top);

}  // namespace invact
