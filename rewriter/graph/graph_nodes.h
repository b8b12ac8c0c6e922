// A graph's nodes and values: their order, what they are, and copies of them in another graph.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <string>
#include <vector>

namespace invact {

/// Every node of a graph, nested blocks and forked tasks included, in printing order: the order of
/// CodePlace::node_index.
std::vector<torch::jit::Node*> nodes_in_order(torch::jit::Graph& graph);

/// Appends a node and all those inside it, in that order.
void append_nodes_in_order(torch::jit::Node* node, std::vector<torch::jit::Node*>& nodes);

/// A copy of some code within another graph.
struct InsertedCode {
  std::vector<torch::jit::Value*> outputs;
  std::vector<torch::jit::Node*> nodes;  ///< In the order of nodes_in_order(code).
};

/// Copies `code` in front of `place`, with `inputs` for its arguments.
InsertedCode insert_code_before(torch::jit::Node* place, torch::jit::Graph& code,
                                at::ArrayRef<torch::jit::Value*> inputs);

/// Of type Tensor: never None.
bool is_tensor(const torch::jit::Value* value);

/// Whether the node reads only metadata of its tensors, or nothing of them.
bool reads_no_memory(const torch::jit::Node* node);

/// The one node that reads the tensor's memory, as its first argument; null where there is no such
/// node, or several.
torch::jit::Node* only_consumer(const torch::jit::Value* value);

/// The node of `block` that is `node` or has it inside; null where there is none.
const torch::jit::Node* within(const torch::jit::Block* block, const torch::jit::Node* node);

/// The first of `nodes`, of which at least one reads `value`, that does.
const torch::jit::Node* first_consumer(const std::vector<torch::jit::Node*>& nodes,
                                       const torch::jit::Value* value);

/// Whether a node is, or could hide, a write to a tensor.
bool may_write(const torch::jit::Node* node);

/// A digest of the graph's operators and of how values flow between them; names and types do not
/// matter.
std::string graph_fingerprint(torch::jit::Graph& graph);

/// "aten::gelu" gives "gelu", "invact::rms_norm_cast" "rms_norm_cast".
std::string unqualified(const std::string& op);

/// The tensor behind a value that is a constant or an attribute of a module; an undefined one for
/// None; none where only the run decides.
std::optional<at::Tensor> known_tensor(torch::jit::Value* value, const torch::jit::Module& top);

}  // namespace invact
