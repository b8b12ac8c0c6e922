// The elementary edits of a graph, one each; code_editor.h says which are made where.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

#include "rewriter/plan.h"

namespace invact {

/// Puts `replacement` before `node`, in whose place its result is used.
/// @throws Error(kInternal) where it does not take these arguments.
void insert_operator(torch::jit::Node* node, const std::string& replacement,
                     at::ArrayRef<torch::jit::Value*> arguments);

/// The same arguments for another operator, in the node's place.
void replace_operator(torch::jit::Node* node, const std::string& replacement);

/// Puts the replacement in place of a pattern that ends in `output`; `nodes`: all nodes of its
/// code, by index.
void replace_pattern(torch::jit::Graph& graph, const std::vector<torch::jit::Node*>& nodes,
                     torch::jit::Node* output, const ReplacePattern& pattern);

/// Destroys a node and the constants that it alone reads.
void destroy_with_constants(torch::jit::Node* node);

/// Destroys an invact::release and the list that it alone reads.
void destroy_release(torch::jit::Node* release);

/// Writes a linear as LibTorch computes it for an input that is not contiguous, a product and a sum
/// in place: of a contiguous one with the same values they make the same bits.
void split_linear(torch::jit::Node* linear);

/// Lets a prim::CallFunction node call `function`.
void retarget_call(torch::jit::Node* call, torch::jit::Function* function);

/// Puts the taken branch of every condition that is a constant now in the condition's place; the
/// nodes of the other one, and the condition, become null.
void splice_decided_branches(std::vector<torch::jit::Node*>& nodes);

}  // namespace invact
