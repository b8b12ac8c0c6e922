// Trains a rewritten model as a C++ program does: train MODEL.pt. Exit 1 with a sentence where
// something is not as promised.
#include <ATen/ATen.h>
#include <invact/ops.h>
#include <invact/register.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void require(bool condition, const std::string& sentence) {
  if (!condition) throw std::runtime_error(sentence);
}

/// The names of the functions that backward will call.
std::set<std::string> backward_functions(const at::Tensor& loss) {
  std::set<torch::autograd::Node*> seen;
  std::set<std::string> names;
  std::vector<torch::autograd::Node*> open{loss.grad_fn().get()};
  while (!open.empty()) {
    torch::autograd::Node* const node = open.back();
    open.pop_back();
    if (!node || !seen.insert(node).second) continue;
    names.insert(node->name());
    for (const torch::autograd::Edge& edge : node->next_edges())
      open.push_back(edge.function.get());
  }
  return names;
}

bool any_contains(const std::set<std::string>& names, const std::string& part) {
  for (const std::string& name : names)
    if (name.find(part) != std::string::npos) return true;
  return false;
}

void step(torch::jit::Module& model, double rate) {
  for (const at::Tensor& parameter : model.parameters()) {
    at::Tensor values = parameter.data();  // As optimizers do: in place, outside autograd.
    values.sub_(parameter.grad(), rate);
    parameter.mutable_grad().reset();
  }
}

void train(const char* path) {
  torch::jit::Module model = torch::jit::load(path);
  model.train();
  at::manual_seed(0);
  const at::Tensor input = at::randn({32, 16}), target = at::randn({32, 4});
  double first_loss = 0, last_loss = 0;
  for (int i = 0; i < 50; ++i) {
    const at::Tensor loss = at::mse_loss(model.forward({input}).toTensor(), target);
    if (i == 0) {
      const std::set<std::string> functions = backward_functions(loss);
      require(any_contains(functions, "invact"), "no gradient function of invact in the model");
      require(
          !any_contains(functions, "GeluBackward0") && !any_contains(functions, "SiluBackward0"),
          "ATen's own gradient function is still there");
      first_loss = loss.item<double>();
    }
    last_loss = loss.item<double>();
    loss.backward();
    step(model, 0.5);
  }
  require(last_loss < 0.9 * first_loss, "the loss did not fall: " + std::to_string(first_loss) +
                                            " became " + std::to_string(last_loss));
  std::printf("loss %.4f -> %.4f\n", first_loss, last_loss);
}

void call_operators() {
  const at::Tensor x = at::linspace(-4, 4, 1001);
  require(at::equal(invact::gelu(x, "tanh"), at::gelu(x, "tanh")), "invact::gelu is not at::gelu");
  require(at::equal(invact::silu(x), at::silu(x)), "invact::silu is not at::silu");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: train MODEL.pt\n", stderr), 2;
  try {
    invact::kernels::ensure_registered();
    call_operators();
    train(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train: %s\n", error.what());
    return 1;
  }
  return 0;
}
