// What a dropout gives with a fixed seed, and where it leaves the generator: for tests of operators
// that must draw what ATen's draw.
#pragma once

#include <ATen/Functions.h>

#include <cstdint>
#include <limits>

#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {

inline at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.detach().requires_grad_();
}

/// The next number of the default generator.
inline int64_t next_random() {
  return at::randint(std::numeric_limits<int64_t>::max(), {1}, at::kLong).item<int64_t>();
}

struct DropoutRun {
  at::Tensor output;
  at::Tensor gradient;
  int64_t next;  ///< next_random() after forward.
};

template <class Dropout>
DropoutRun run_dropout(const Dropout& dropout, const at::Tensor& input,
                       const at::Tensor& grad_output) {
  at::manual_seed(5);
  const at::Tensor tracked = leaf(input);
  const at::Tensor output = dropout(tracked);
  const int64_t next = next_random();
  return {output.detach(), gradient(output, tracked, grad_output), next};
}

}  // namespace invact::testing
