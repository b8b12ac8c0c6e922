// The chain of a recompute region: a method of a TorchScript object, run now and once more in
// backward. What is kept in between: autograd/region.h. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function.h>
#include <ATen/core/ivalue.h>

#include <string_view>
#include <vector>

namespace invact::kernels {

/// What a chain gave: y, and what its second run needs.
struct ChainResult {
  at::Tensor output;
  std::vector<at::Tensor> kept;
};

class Chain {
 public:
  /// `extra`: a tuple, or None. @throws c10::Error where `module` is no object, its class has no
  /// such method, or `extra` is something else.
  Chain(c10::IValue module, std::string_view name, c10::IValue extra);

  /// In whatever grad mode it is called. Always runs without the executor's optimizations, which
  /// may take other kernels the second time. @throws c10::Error on another number of arguments
  /// than the method has, or another result than y or (y, kept...).
  ChainResult run(at::ArrayRef<at::Tensor> inputs) const;

  /// "<name>_again" where there is one, else the method itself. The same output.
  at::Tensor run_again(at::ArrayRef<at::Tensor> inputs, at::ArrayRef<at::Tensor> kept) const;

  bool has_again() const { return again_ != nullptr; }
  const std::string& name() const { return forward_->name(); }

 private:
  c10::IValue call(torch::jit::Function& method, at::ArrayRef<at::Tensor> inputs,
                   at::ArrayRef<at::Tensor> kept) const;

  c10::IValue module_;  // keeps the methods alive
  c10::IValue extra_;
  torch::jit::Function* forward_ = nullptr;
  torch::jit::Function* again_ = nullptr;
};

}  // namespace invact::kernels
