#include "kernels/recompute/segment_backward.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace invact::kernels {
namespace {

using torch::autograd::Edge;
using torch::autograd::Node;
using torch::autograd::variable_list;

// Later releases of LibTorch have another pointer type here.
using NodePointer = decltype(Edge::function);

/// Walks the segment's own graph in the engine's order. A nested call of the engine would cost more
/// than many a segment, and on a device's thread it could run other nodes of the model meanwhile.
class Walk {
 public:
  Walk(const Edge& root, const std::vector<at::Tensor>& leaves) {
    gradients_.resize(leaves.size());
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (leaves[i].defined()) {
        leaf_of_[torch::autograd::impl::gradient_edge(leaves[i]).function.get()] = i;
      }
    }
    visit(root);
  }

  /// Whether no node of the graph has hooks: a walk would not call them.
  bool is_plain() const { return is_plain_; }

  std::vector<at::Tensor> run(const Edge& root, at::Tensor&& grad_output) {
    variable_list grads;
    grads.push_back(std::move(grad_output));
    torch::autograd::validate_outputs({root}, grads, [](const std::string& error) {
      return "invact::recompute: gradient of a chain's output: " + error;
    });
    deliver(root, std::move(grads[0]));
    while (!ready_.empty()) step();
    return std::move(gradients_);
  }

 private:
  struct Pending {
    int wanted = 0;  ///< Edges that have not delivered yet.
    variable_list buffer;
  };

  bool is_leaf(const Node* node) const { return leaf_of_.count(node) != 0; }

  void visit(const Edge& root) {
    std::vector<Node*> stack;
    const auto reach = [&](const Edge& edge) {
      if (!edge.is_valid()) return;
      Node* const node = edge.function.get();
      const auto [place, is_new] = pending_.try_emplace(node);
      ++place->second.wanted;
      if (!is_new) return;
      is_plain_ = is_plain_ && node->pre_hooks().empty() && node->post_hooks().empty() &&
                  node->tensor_pre_hooks().empty() && node->retains_grad_hooks().empty();
      if (is_leaf(node)) return;
      place->second.buffer.resize(node->num_inputs());
      stack.push_back(node);
    };
    reach(root);
    while (!stack.empty()) {
      Node* const node = stack.back();
      stack.pop_back();
      for (const Edge& edge : node->next_edges()) reach(edge);
      TORCH_CHECK(
          dynamic_cast<const torch::autograd::AccumulateGrad*>(node) == nullptr,
          "invact::recompute: a chain reads a tensor that takes a gradient and is not among "
          "its inputs; give it as one of them");
    }
  }

  static void accumulate(at::Tensor& sum, at::Tensor&& gradient) {
    if (!gradient.defined()) return;
    sum = sum.defined() ? sum + gradient : std::move(gradient);
  }

  void deliver(const Edge& edge, at::Tensor&& gradient) {
    if (!edge.is_valid()) return;
    Node* const node = edge.function.get();
    if (const auto leaf = leaf_of_.find(node); leaf != leaf_of_.end()) {
      return accumulate(gradients_[leaf->second], std::move(gradient));
    }
    Pending& pending = pending_.at(node);
    accumulate(pending.buffer[edge.input_nr], std::move(gradient));
    if (--pending.wanted > 0) return;
    ready_.push_back(edge.function);
    std::push_heap(ready_.begin(), ready_.end(), is_earlier);
  }

  void step() {
    std::pop_heap(ready_.begin(), ready_.end(), is_earlier);
    const NodePointer node = std::move(ready_.back());
    ready_.pop_back();
    node->will_release_variables();
    variable_list grads;
    {
      // A node reads its arguments in place: they are freed at the end of this scope.
      variable_list buffer = std::move(pending_.at(node.get()).buffer);
      grads = (*node)(std::move(buffer));
    }
    node->release_variables();
    const torch::autograd::edge_list& edges = node->next_edges();
    torch::autograd::validate_outputs(edges, grads, [&](const std::string& error) {
      return "invact::recompute: " + node->name() + " in the backward of a chain: " + error;
    });
    for (size_t i = 0; i < edges.size(); ++i) deliver(edges[i], std::move(grads[i]));
  }

  static bool is_earlier(const NodePointer& a, const NodePointer& b) {
    return a->sequence_nr() < b->sequence_nr();
  }

  std::unordered_map<const Node*, size_t> leaf_of_;
  std::unordered_map<const Node*, Pending> pending_;
  std::vector<NodePointer> ready_;  // a heap: the node that was made last comes first
  std::vector<at::Tensor> gradients_;
  bool is_plain_ = true;
};

/// Whether the running backward asks its nodes for every gradient. Where it asks for some alone, a
/// node looks itself up in the backward's own list, which does not have a segment's nodes.
bool wants_everything() {
  const auto* const wanted = torch::autograd::get_current_graph_task_exec_info();
  return wanted == nullptr || wanted->empty();
}

std::vector<at::Tensor> engine_gradients(const at::Tensor& output, const at::Tensor& grad_output,
                                         const std::vector<at::Tensor>& leaves) {
  std::vector<at::Tensor> gradients(leaves.size());
  std::vector<at::Tensor> wanted;
  for (const at::Tensor& leaf : leaves) {
    if (leaf.defined()) wanted.push_back(leaf);
  }
  if (wanted.empty()) return gradients;
  const bool has_graph = at::GradMode::is_enabled();
  auto found = torch::autograd::grad({output}, wanted, {grad_output}, /*retain_graph=*/has_graph,
                                     /*create_graph=*/has_graph, /*allow_unused=*/true);
  for (size_t i = 0, next = 0; i < leaves.size(); ++i) {
    if (leaves[i].defined()) gradients[i] = std::move(found[next++]);
  }
  return gradients;
}

}  // namespace

std::vector<at::Tensor> segment_gradients(at::Tensor output, at::Tensor grad_output,
                                          const std::vector<at::Tensor>& leaves) {
  if (!output.requires_grad()) return std::vector<at::Tensor>(leaves.size());
  if (!at::GradMode::is_enabled() && !torch::autograd::AnomalyMode::is_enabled() &&
      wants_everything()) {
    const Edge root = torch::autograd::impl::gradient_edge(output);
    Walk walk(root, leaves);
    if (walk.is_plain()) {
      output.reset();
      return walk.run(root, std::move(grad_output));
    }
  }
  return engine_gradients(output, grad_output, leaves);
}

}  // namespace invact::kernels
