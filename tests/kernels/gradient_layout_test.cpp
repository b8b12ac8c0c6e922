// Gradients that equal ATen's lie in memory as ATen's do, whatever the layouts of input and
// grad_output: a bias's gradient further on is summed in that order.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {
namespace {

using Function = std::function<at::Tensor(const at::Tensor&)>;

struct Pair {
  std::string name;
  Function ours;
  Function atens;
};

std::vector<Pair> pairs() {
  using T = const at::Tensor&;
  return {
      {"dropout", [](T x) { return invact::dropout(x, 0.5, true); },
       [](T x) { return at::dropout(x, 0.5, true); }},
      {"dropout_",
       [](T x) {
         at::Tensor copy = x * 1;
         return invact::dropout_(copy, 0.5, true);
       },
       [](T x) {
         at::Tensor copy = x * 1;
         return at::dropout_(copy, 0.5, true);
       }},
      {"hardtanh", [](T x) { return invact::hardtanh(x, -1, 1); },
       [](T x) { return at::hardtanh(x, -1, 1); }},
      {"relu6", [](T x) { return invact::relu6(x); }, [](T x) { return at::relu6(x); }},
  };
}

std::vector<at::Tensor> layouts() {
  std::vector<at::Tensor> tensors = {normal({2, 3, 4, 5}, at::kFloat)};
  tensors.push_back(tensors[0].contiguous(at::MemoryFormat::ChannelsLast));
  tensors.push_back(tensors[0].transpose(0, 1).contiguous().transpose(0, 1));
  tensors.push_back(tensors[0].transpose(2, 3).contiguous().transpose(2, 3));
  tensors.push_back(normal({2, 3, 4, 10}, at::kFloat).slice(3, 0, 10, 2));
  tensors.push_back(normal({2, 3, 1, 5}, at::kFloat).expand({2, 3, 4, 5}));
  tensors.push_back(normal({}, at::kFloat).expand({2, 3, 4, 5}));
  return tensors;
}

at::Tensor gradient_of(const Function& function, const at::Tensor& input,
                       const at::Tensor& grad_output) {
  at::manual_seed(3);
  const at::Tensor tracked = leaf(input);
  return gradient(function(tracked), tracked, grad_output);
}

TEST(GradientLayoutTest, IsAtens) {
  for (const Pair& pair : pairs()) {
    for (const at::Tensor& input : layouts()) {
      for (const at::Tensor& grad_output : layouts()) {
        SCOPED_TRACE(pair.name);
        const at::Tensor ours = gradient_of(pair.ours, input, grad_output);
        const at::Tensor atens = gradient_of(pair.atens, input, grad_output);
        EXPECT_TRUE(at::equal(ours, atens));
        EXPECT_EQ(ours.strides(), atens.strides())
            << "input: " << input.strides() << ", grad_output: " << grad_output.strides();
      }
    }
  }
}

}  // namespace
}  // namespace invact::testing
