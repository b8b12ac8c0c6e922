#include "kernels/recompute/segment_method.h"

#include <ATen/core/class_type.h>
#include <ATen/core/ivalue_inl.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <utility>

namespace invact::kernels {
namespace {

constexpr std::string_view kAgain = "_again";

at::ArrayRef<c10::IValue> elements_of(const c10::IValue& extra) {
  if (extra.isNone()) return {};
  return extra.toTupleRef().elements();
}

bool is_again(std::string_view method, std::string_view name) {
  return method.size() == name.size() + kAgain.size() && method.starts_with(name) &&
         method.ends_with(kAgain);
}

}  // namespace

// The class is searched at every call, for both methods in one pass. With so few methods no map
// would be quicker, and a map would go stale when a pass removes or replaces a method.
SegmentMethod::SegmentMethod(c10::IValue module, std::string_view name, c10::IValue extra)
    : module_(std::move(module)), extra_(std::move(extra)) {
  TORCH_CHECK(module_.isObject(), "invact::recompute: chain '", name,
              "' needs a TorchScript object to be called on, not ", module_.tagKind());
  TORCH_CHECK(extra_.isNone() || extra_.isTuple(),
              "invact::recompute: the extra arguments of chain '", name, "' are no tuple but ",
              extra_.tagKind());
  const c10::ClassType& type = *module_.toObjectRef().type();
  for (torch::jit::Function* method : type.methods()) {
    const std::string& found = method->name();
    if (found == name) {
      forward_ = method;
    } else if (is_again(found, name)) {
      again_ = method;
    }
  }
  TORCH_CHECK(forward_ != nullptr, "invact::recompute: ", type.repr_str(), " has no method '", name,
              "'. torch.jit.freeze and the like drop methods that are called by name alone: freeze "
              "the original model, or what 'invact rewrite --restore' makes of this one.");
}

c10::IValue SegmentMethod::call(torch::jit::Function& method, at::ArrayRef<at::Tensor> inputs,
                                at::ArrayRef<at::Tensor> saved) const {
  const at::ArrayRef<c10::IValue> extra = elements_of(extra_);
  torch::jit::Stack stack;
  stack.reserve(1 + inputs.size() + extra.size() + saved.size());
  stack.push_back(module_);
  stack.insert(stack.end(), inputs.begin(), inputs.end());
  stack.insert(stack.end(), extra.begin(), extra.end());
  stack.insert(stack.end(), saved.begin(), saved.end());
  TORCH_CHECK(stack.size() == method.num_inputs(), "invact::recompute: chain '", method.name(),
              "' takes ", method.num_inputs(), " arguments, self included, and gets ",
              stack.size());
  const torch::jit::GraphOptimizerEnabledGuard guard(false);
  method.run(stack);
  return std::move(stack.back());
}

SegmentResult SegmentMethod::run(at::ArrayRef<at::Tensor> inputs) const {
  c10::IValue value = call(*forward_, inputs, {});
  if (value.isTensor()) return {std::move(value).toTensor(), {}};
  TORCH_CHECK(value.isTuple(), "invact::recompute: chain '", name(), "' gave ", value.tagKind(),
              ", neither a tensor nor a tuple of tensors");
  const auto& elements = value.toTupleRef().elements();
  TORCH_CHECK(!elements.empty(), "invact::recompute: chain '", name(), "' gave an empty tuple");
  SegmentResult result;
  result.saved.reserve(elements.size() - 1);
  for (size_t i = 0; i < elements.size(); ++i) {
    TORCH_CHECK(elements[i].isTensor(), "invact::recompute: result ", i, " of chain '", name(),
                "' is no tensor but ", elements[i].tagKind());
    if (i == 0) {
      result.output = elements[i].toTensor();
    } else {
      result.saved.push_back(elements[i].toTensor());
    }
  }
  return result;
}

at::Tensor SegmentMethod::run_again(at::ArrayRef<at::Tensor> inputs,
                                    at::ArrayRef<at::Tensor> saved) const {
  if (again_ == nullptr) return run(inputs).output;
  c10::IValue value = call(*again_, inputs, saved);
  TORCH_CHECK(value.isTensor(), "invact::recompute: chain '", again_->name(), "' gave ",
              value.tagKind(), ", not a tensor");
  return std::move(value).toTensor();
}

}  // namespace invact::kernels
