// Recompute segments: runs of cheap operators that can run again in backward from the tensors that
// feed them, so that nothing in between has to be saved. They are found in the inlined graph with
// the observed step beside it; the plan decides whether one is worth it. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <unordered_map>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"
#include "rewriter/patterns/match.h"

namespace invact {

/// An operator that reads a segment's result after it was made.
struct SegmentConsumer {
  torch::jit::Node* node = nullptr;
  NodeInput tensor;  ///< The result or a view of it, as the consumer's own code names it.
  Consumer::Use use = Consumer::Use::kReads;

  bool saves() const { return use != Consumer::Use::kReads; }
};

struct Segment {
  /// In the order of running, all in one block. The last makes the result, and no node outside
  /// reads what the others make. Where the last makes a view, the segment hands over the contiguous
  /// copy that its consumer would make otherwise.
  std::vector<torch::jit::Node*> nodes;
  /// The tensors that feed it, parameters too, each once. Running statistics are not among them.
  std::vector<torch::jit::Value*> inputs;
  /// Every operator that reads the result, in the order of running. Empty where one of them cannot
  /// be named, so that the result's memory cannot be given back.
  std::vector<SegmentConsumer> consumers;
  std::optional<StorageId> result;  ///< The storage of the result in the observed step.
  /// Whether autograd still adds up gradients in the original's order once the segment is one
  /// operator: floating sums in another order round otherwise.
  GradientBits gradients = GradientBits::kSame;

  torch::jit::Node* output() const { return nodes.back(); }
};

/// By node of a segment: the node that makes the segment's result. Once the segment is one
/// operator, it runs where that node stood.
using SegmentEnds = std::unordered_map<const torch::jit::Node*, torch::jit::Node*>;

/// The largest segments of the model, by the order of their results; no node is in two of them.
std::vector<Segment> find_segments(const InlinedModel& inlined, const ObservedGraph& observed);

}  // namespace invact
