// Recompute regions: chains of cheap operators that can be run again in backward from what feeds
// them, so that nothing between has to be kept. Found in the inlined graph with the observed step
// beside it; whether one is worth it is the plan's decision. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <unordered_map>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"
#include "rewriter/patterns/match.h"

namespace invact {

/// An operator that reads a region's result after it was made.
struct RegionReader {
  torch::jit::Node* node = nullptr;
  NodeInput tensor;    ///< The result or a view of it, as the reader's own code names it.
  bool saves = false;  ///< It keeps the result for backward.
  /// A linear that would make a copy of its own of the view that it reads; see Region::nodes.
  bool copies = false;
};

struct Region {
  /// In the order of running, all in one block; the last makes the result, and nobody else reads
  /// what the others make. Where the last makes a view, the chain hands over the contiguous copy
  /// that its reader would make otherwise.
  std::vector<torch::jit::Node*> nodes;
  /// The tensors that feed it, parameters too, each once. Running statistics are not among them.
  std::vector<torch::jit::Value*> inputs;
  /// Everyone who reads the result, the last in the order of running last. Empty where somebody
  /// cannot be named, so that the result's memory cannot be given back.
  std::vector<RegionReader> readers;
  std::optional<StorageId> result;  ///< Where the result lay in the observed step.
  bool keeps_order = true;          ///< keeps_gradient_order().

  torch::jit::Node* output() const { return nodes.back(); }
};

/// The largest chains of the model, by the order of their results; no node is in two of them.
std::vector<Region> find_regions(const InlinedModel& inlined, const ObservedGraph& observed);

/// The result of the chain that a node is part of: where it reads once the chain is one operator.
using ChainEnds = std::unordered_map<const torch::jit::Node*, torch::jit::Node*>;

/// Who reads `value`, which lies under `storage`; see Region::readers. None as well where who reads
/// last depends on whether chains behind it, `ends`, are run as one.
std::vector<RegionReader> find_readers(torch::jit::Value* value, StorageId storage,
                                       const InlinedModel& inlined, const ObservedGraph& observed,
                                       const ChainEnds& ends);

/// Whether gradients are added up in the order of today once the chain is one operator. Its
/// backward then runs where its last node's did, before that of everyone who reads one of its
/// inputs in between: a sum of three rounds otherwise, and one of two may lie otherwise in memory.
bool keeps_gradient_order(const Region& region, const ObservedGraph& observed,
                          const ChainEnds& ends);

}  // namespace invact
