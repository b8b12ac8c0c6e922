#include "kernels/autograd/chain_backward.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace invact::kernels {

std::vector<at::Tensor> chain_gradients(const at::Tensor& output, const at::Tensor& grad_output,
                                        const std::vector<at::Tensor>& leaves) {
  std::vector<at::Tensor> gradients(leaves.size());
  std::vector<at::Tensor> wanted;
  for (const at::Tensor& leaf : leaves) {
    if (leaf.defined()) wanted.push_back(leaf);
  }
  if (wanted.empty() || !output.requires_grad()) return gradients;
  const bool has_graph = at::GradMode::is_enabled();
  auto found = torch::autograd::grad({output}, wanted, {grad_output}, /*retain_graph=*/has_graph,
                                     /*create_graph=*/has_graph, /*allow_unused=*/true);
  for (size_t i = 0, next = 0; i < leaves.size(); ++i) {
    if (leaves[i].defined()) gradients[i] = std::move(found[next++]);
  }
  return gradients;
}

}  // namespace invact::kernels
