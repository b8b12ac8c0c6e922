// What a recompute segment saves for backward: its inputs, and the tensors that its method returns
// behind the output. The node that stands for the segment in the graph, and the two operators.
#include <ATen/SavedTensorHooks.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/stack.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/recompute/recompute_operators.h"
#include "kernels/recompute/segment.h"
#include "kernels/recompute/segment_method.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::variable_list;

class RecomputeBackward : public torch::autograd::Node {
 public:
  RecomputeBackward(std::shared_ptr<Segment> segment, torch::autograd::edge_list&& edges)
      : Node(std::move(edges)), segment_(std::move(segment)) {}

  void release_variables() override { segment_->drop(); }

 protected:
  variable_list apply(variable_list&& grads) override {
    if (!grads[0].defined()) return variable_list(num_outputs());
    std::vector<bool> is_wanted(num_outputs());
    for (size_t i = 0; i < is_wanted.size(); ++i) is_wanted[i] = task_should_compute_output(i);
    return segment_->gradients(std::move(grads[0]), is_wanted);
  }

 private:
  std::shared_ptr<Segment> segment_;
};

/// Later releases of LibTorch count references to nodes in another way.
using NodePointer = decltype(torch::autograd::Edge::function);

template <class Pointer = NodePointer>
Pointer make_node(std::shared_ptr<Segment> segment, at::ArrayRef<at::Tensor> inputs) {
  auto edges = torch::autograd::collect_next_edges(inputs);
  if constexpr (std::is_same_v<Pointer, std::shared_ptr<torch::autograd::Node>>) {
    return std::make_shared<RecomputeBackward>(std::move(segment), std::move(edges));
  } else {
    return c10::make_intrusive<RecomputeBackward>(std::move(segment), std::move(edges));
  }
}

/// functorch's tensors have no storage to speak of, and a tangent must go through the method.
bool must_run_plainly(at::ArrayRef<at::Tensor> inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& input) {
    return !input.has_storage() || has_tangent(input);
  });
}

/// Runs the segment as if its operators stood in the model. Its first form may have no gradient of
/// its own.
at::Tensor run_plainly(const SegmentMethod& method, at::ArrayRef<at::Tensor> inputs,
                       bool wants_gradient) {
  if (!wants_gradient || !method.has_again()) return method.run(inputs).output;
  std::vector<at::Tensor> saved;
  {
    const at::NoGradGuard no_grad;
    saved = method.run(inputs).saved;
  }
  return method.run_again(inputs, saved);
}

/// Storage::is_alias_of would not do: it reads data that may have been freed.
bool shares_storage(const at::Tensor& a, const at::Tensor& b) {
  return a.has_storage() && b.has_storage() &&
         a.storage().unsafeGetStorageImpl() == b.storage().unsafeGetStorageImpl();
}

/// `output` as a tensor that can be given a gradient function. An output that shares an input's
/// storage becomes a view made without grad mode, which autograd refuses to change in place; any
/// other is no view.
at::Tensor differentiable(at::Tensor output, at::ArrayRef<at::Tensor> inputs) {
  const bool is_alias = std::any_of(inputs.begin(), inputs.end(), [&](const at::Tensor& input) {
    return shares_storage(input, output);
  });
  const at::NoGradGuard no_grad;
  if (is_alias) return output.view_as(output);
  if (output.is_view() || output.use_count() > 1) return output.detach();
  return output;
}

at::Tensor recompute(SegmentMethod method, std::vector<at::Tensor> inputs) {
  const bool wants_gradient =
      at::GradMode::is_enabled() &&
      std::any_of(inputs.begin(), inputs.end(),
                  [](const at::Tensor& input) { return input.requires_grad(); });
  if (!wants_gradient || must_run_plainly(inputs)) {
    return run_plainly(method, inputs, wants_gradient);
  }
  SegmentResult result;
  {
    const at::NoGradGuard no_grad;
    const AutocastStateGuard autocast(AutocastState::now());
    result = method.run(inputs);
  }
  TORCH_CHECK(result.output.has_storage(), "invact::recompute: chain '", method.name(),
              "' gave a tensor without storage");
  if (!torch::autograd::isDifferentiableType(result.output.scalar_type())) return result.output;
  at::Tensor output = differentiable(std::move(result.output), inputs);
  // One owner: the storage is neither an input's nor that of a buffer that the segment reads.
  const bool owns_storage = output.storage().use_count() == 1;
  auto segment = Segment::make(std::move(method), inputs, result.saved, output, owns_storage);
  torch::autograd::create_gradient_edge(output, make_node(std::move(segment), inputs));
  return output;
}

void boxed_recompute(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const bool has_extra = op.schema().arguments().size() > 3;
  c10::IValue extra = has_extra ? torch::jit::pop(*stack) : c10::IValue();
  std::vector<at::Tensor> inputs = torch::jit::pop(*stack).toTensorVector();
  const c10::IValue name = torch::jit::pop(*stack);
  SegmentMethod method(torch::jit::pop(*stack), name.toStringView(), std::move(extra));
  torch::jit::push(*stack, recompute(std::move(method), std::move(inputs)));
}

void refill_before_backward_of(const at::TensorBase& user,
                               const std::shared_ptr<Segment>& segment) {
  user.register_hook([segment](const at::TensorBase&) { segment->refill(); });
}

/// Python's hooks on saved tensors (checkpointing, offloading) keep the tensor that they get, and
/// know nothing of refilling: a released one would raise in their backward.
///
/// The environment variable is for tests that measure by such hooks and want to see what a step
/// saves without them. A library should not read the environment, but here nothing else can say it:
/// the operator's schema, which saved models name, has no place for such an argument.
bool hooks_forbid_release() {
  static const bool releases_anyway = [] {
    const char* const value = std::getenv("INVACT_RELEASE_UNDER_HOOKS");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return !releases_anyway && !at::SavedTensorDefaultHooks::get_tls_state().stack.empty();
}

void release(const at::Tensor& self, at::TensorList users, bool last) {
  if (!self.has_storage()) return;
  const auto segment = Segment::of(self.storage().unsafeGetStorageImpl());
  if (!segment) return;
  for (const at::Tensor& user : users) {
    if (shares_storage(user, self)) segment->forbid_release();
    if (!user.requires_grad()) continue;  // it saved nothing
    // The backward of a user that does not lead back to the segment may run after the segment's
    // own, which drops what a refill needs.
    if (!self.requires_grad()) segment->forbid_release();
    refill_before_backward_of(user, segment);
    // Where a view was changed in place, autograd goes by its base.
    if (user.is_view() && user._base().requires_grad()) {
      refill_before_backward_of(user._base(), segment);
    }
  }
  if (last && !hooks_forbid_release()) segment->release();
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CompositeImplicitAutograd, m) {
  m.impl("recompute", torch::CppFunction::makeFromBoxedFunction<&boxed_recompute>());
  m.impl("recompute.extra", torch::CppFunction::makeFromBoxedFunction<&boxed_recompute>());
  m.impl("release", &release);
}

// Without a rule of its own vmap takes a composite operator apart only if it is ATen's.
TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  m.impl("recompute", torch::CppFunction::makeFromBoxedFunction<&boxed_recompute>());
  m.impl("recompute.extra", torch::CppFunction::makeFromBoxedFunction<&boxed_recompute>());
  m.impl("release", &release);
}

}  // namespace invact::kernels
