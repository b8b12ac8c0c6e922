// The method that a recompute segment runs: a method of a TorchScript object, called now and once
// more in backward. What is saved in between: segment.h. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function.h>
#include <ATen/core/ivalue.h>

#include <string_view>
#include <vector>

namespace invact::kernels {

/// What a segment's first run returns: y, and the tensors that its second run needs.
struct SegmentResult {
  at::Tensor output;
  std::vector<at::Tensor> saved;
};

class SegmentMethod {
 public:
  /// `extra`: a tuple, or None. @throws c10::Error where `module` is no object, its class has no
  /// such method, or `extra` is something else.
  SegmentMethod(c10::IValue module, std::string_view name, c10::IValue extra);

  /// Runs in the caller's grad mode, and always without the executor's optimizations, which may
  /// take other kernels the second time. @throws c10::Error on another number of arguments than the
  /// method has, or another result than y or (y, saved...).
  SegmentResult run(at::ArrayRef<at::Tensor> inputs) const;

  /// Runs "<name>_again" where there is one, else the method itself. It gives the same output.
  at::Tensor run_again(at::ArrayRef<at::Tensor> inputs, at::ArrayRef<at::Tensor> saved) const;

  bool has_again() const { return again_ != nullptr; }
  const std::string& name() const { return forward_->name(); }

 private:
  c10::IValue call(torch::jit::Function& method, at::ArrayRef<at::Tensor> inputs,
                   at::ArrayRef<at::Tensor> saved) const;

  c10::IValue module_;  // keeps the methods alive
  c10::IValue extra_;
  torch::jit::Function* forward_ = nullptr;
  torch::jit::Function* again_ = nullptr;
};

}  // namespace invact::kernels
