// Trains a rewritten model as a C++ program does: train MODEL.pt. Exit 1 with a sentence where
// something is not as promised.
#include <ATen/ops/equal.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/silu.h>
#include <invact/ops.h>
#include <invact/register.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

void require(bool condition, const std::string& sentence) {
  if (!condition) throw std::runtime_error(sentence);
}

/// How many calls of operators in the namespace "aten" or "invact" that stand for GELU or SiLU the
/// model's code has.
int activation_calls(const torch::jit::Module& model, const std::string& name_space) {
  int count = 0;
  for (const torch::jit::Module& module : model.modules()) {
    const auto forward = module.find_method("forward");
    if (!forward) continue;
    for (const torch::jit::Node* node : forward->graph()->nodes()) {
      const std::string name = node->kind().toQualString();
      count += name == name_space + "::gelu" || name == name_space + "::silu";
    }
  }
  return count;
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
  require(activation_calls(model, "invact") == 2 && activation_calls(model, "aten") == 0,
          "the model does not call invact's operators in both places");
  const at::Tensor input = at::linspace(-40, 40, 32 * 16).sin().view({32, 16});
  const at::Tensor target = input.narrow(1, 0, 4);
  double first_loss = 0, last_loss = 0;
  for (int i = 0; i < 50; ++i) {
    const at::Tensor loss = at::mse_loss(model.forward({input}).toTensor(), target);
    last_loss = loss.item<double>();
    if (i == 0) first_loss = last_loss;
    loss.backward();
    step(model, 0.5);
  }
  require(last_loss < 0.1 * first_loss, "the loss did not fall: " + std::to_string(first_loss) +
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
