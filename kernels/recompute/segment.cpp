#include "kernels/recompute/segment.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/variable.h>

#include <string>
#include <unordered_map>
#include <utility>

#include "kernels/recompute/segment_backward.h"
#include "kernels/recompute/storage_lease.h"
#include "kernels/recompute/stream_order.h"

namespace invact::kernels {
namespace {

/// Which region gave a storage. By the storage rather than by a mark in its data pointer: CUDA's
/// record_stream passes over data pointers whose deleter is not its allocator's.
class RegionTable {
 public:
  void add(const c10::StorageImpl* storage, std::weak_ptr<Region> region) {
    const std::lock_guard lock(mutex_);
    regions_[storage] = std::move(region);
  }
  void remove(const c10::StorageImpl* storage) {
    const std::lock_guard lock(mutex_);
    regions_.erase(storage);
  }
  std::shared_ptr<Region> find(const c10::StorageImpl* storage) {
    const std::lock_guard lock(mutex_);
    const auto found = regions_.find(storage);
    return found == regions_.end() ? nullptr : found->second.lock();
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const c10::StorageImpl*, std::weak_ptr<Region>> regions_;
};

RegionTable& region_table() {
  static RegionTable& table = *new RegionTable;  // never destroyed: graphs may outlive main
  return table;
}

const std::string& released_message() {
  static const std::string message =
      "invact released this tensor's memory after forward: a recompute region makes it again for "
      "the backward of the operators that were known to keep it, and this reader is not one of "
      "them. Run the original model, or one without release, where the tensor is read elsewhere.";
  return message;
}

std::vector<torch::autograd::SavedVariable> save(at::ArrayRef<at::Tensor> tensors) {
  std::vector<torch::autograd::SavedVariable> saved;
  saved.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) saved.emplace_back(tensor, /*is_output=*/false);
  return saved;
}

std::vector<at::Tensor> unpack(const std::vector<torch::autograd::SavedVariable>& saved) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(saved.size());
  for (const auto& variable : saved) tensors.push_back(variable.unpack());
  return tensors;
}

}  // namespace

std::shared_ptr<Region> Region::make(Chain chain, at::ArrayRef<at::Tensor> inputs,
                                     const std::vector<at::Tensor>& kept, const at::Tensor& output,
                                     bool owns_storage) {
  std::shared_ptr<Region> region(new Region(std::move(chain), inputs, kept, output, owns_storage));
  if (owns_storage) region_table().add(region->storage_._unsafe_get_target(), region);
  return region;
}

std::shared_ptr<Region> Region::of(const c10::StorageImpl* storage) {
  return region_table().find(storage);
}

Region::Region(Chain chain, at::ArrayRef<at::Tensor> inputs, const std::vector<at::Tensor>& kept,
               const at::Tensor& output, bool owns_storage)
    : chain_(std::move(chain)),
      inputs_(save(inputs)),
      kept_(save(kept)),
      storage_(output.storage().getWeakStorageImpl()),
      version_(torch::autograd::impl::version_counter(output)),
      version_made_(version_.current_version()),
      sizes_(output.sizes()),
      strides_(output.strides()),
      nbytes_(output.storage().nbytes()),
      owns_storage_(owns_storage),
      may_release_(owns_storage) {
  takes_gradient_.reserve(inputs.size());
  for (const at::Tensor& input : inputs) takes_gradient_.push_back(input.requires_grad());
}

// The weak reference keeps the storage's address from being another's until the entry is gone.
Region::~Region() {
  if (owns_storage_) region_table().remove(storage_._unsafe_get_target());
}

void Region::forbid_release() {
  const std::lock_guard lock(mutex_);
  may_release_ = false;
}

void Region::release() {
  const std::lock_guard lock(mutex_);
  if (!may_release_ || is_released_ || version_.current_version() != version_made_) return;
  is_released_ = true;
  vacate_storage();
}

void Region::vacate_storage() {
  is_filled_ = false;
  if (const auto storage = storage_.lock()) vacate(*storage, released_message());
}

void Region::refill() {
  const std::lock_guard lock(mutex_);
  if (!is_released_) return;
  // The graph that is being made may keep the output, and has no hooks of ours.
  if (at::GradMode::is_enabled()) must_stay_filled_ = true;
  const auto storage = storage_.lock();
  if (!storage) return;
  const auto now = current_stream(storage->device());
  if (is_filled_) return run_after(filling_stream_, now);
  if (!rerun_) rerun_ = run_again();
  run_after(rerun_->stream, now);
  filling_stream_ = rerun_->stream;
  lend(*storage, rerun_->output.storage());
  is_filled_ = true;
}

std::vector<at::Tensor> Region::unpack_inputs() const {
  std::vector<at::Tensor> inputs = unpack(inputs_);
  for (const at::Tensor& input : inputs) {
    if (!input.defined() || !input.has_storage()) continue;
    if (const auto region = of(input.storage().unsafeGetStorageImpl())) region->refill();
  }
  return inputs;
}

at::Tensor Region::run_chain(const std::vector<at::Tensor>& inputs) const {
  const at::AutoGradMode grad_mode(true);
  const AutocastStateGuard autocast(autocast_);
  at::Tensor output = chain_.run_again(inputs, unpack(kept_));
  check_layout(output);
  return output;
}

void Region::check_layout(const at::Tensor& again) const {
  TORCH_CHECK(
      again.sizes() == sizes_ && again.strides() == strides_ && again.storage().nbytes() == nbytes_,
      "invact::recompute: chain '", chain_.name(), "' gave a tensor of sizes ", sizes_,
      " and strides ", strides_, " in forward and one of ", again.sizes(), " and ", again.strides(),
      " when it ran again");
}

Region::Rerun Region::run_again() const {
  std::vector<at::Tensor> inputs = unpack_inputs();
  Rerun rerun;
  rerun.leaves.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = inputs[i].detach();
    if (takes_gradient_[i]) rerun.leaves[i] = inputs[i].requires_grad_();
  }
  rerun.output = run_chain(inputs);
  rerun.stream = current_stream(rerun.output.device());
  return rerun;
}

/// Everyone who was to read the second run's output has read it.
void Region::end_filling() {
  const std::lock_guard lock(mutex_);
  if (is_filled_ && !must_stay_filled_) vacate_storage();
}

std::vector<at::Tensor> Region::gradients(at::Tensor grad_output,
                                          const std::vector<bool>& is_wanted) {
  if (at::GradMode::is_enabled()) {
    return differentiable_gradients(std::move(grad_output), is_wanted);
  }
  Rerun rerun;
  {
    const std::lock_guard lock(mutex_);
    rerun = rerun_ ? std::move(*rerun_) : run_again();
    rerun_.reset();
  }
  for (size_t i = 0; i < is_wanted.size(); ++i) {
    if (!is_wanted[i]) rerun.leaves[i].reset();
  }
  const auto now = current_stream(rerun.output.device());
  run_after(rerun.stream, now);
  if (rerun.stream == now) {
    // What the chain's own operators keep is all that stays, and goes with them one by one.
    end_filling();
    return chain_gradients(std::move(rerun.output), std::move(grad_output), rerun.leaves);
  }
  std::vector<at::Tensor> found =
      chain_gradients(rerun.output, std::move(grad_output), rerun.leaves);
  end_filling();
  run_after(now, rerun.stream);  // which may be given the memory now
  return found;
}

// Through a view of each input: a gradient by an input itself would count other ways to it as well.
std::vector<at::Tensor> Region::differentiable_gradients(at::Tensor grad_output,
                                                         const std::vector<bool>& is_wanted) {
  std::vector<at::Tensor> inputs;
  {
    const std::lock_guard lock(mutex_);
    rerun_.reset();
    inputs = unpack_inputs();
  }
  Rerun rerun;
  rerun.leaves.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (is_wanted[i]) rerun.leaves[i] = inputs[i] = inputs[i].view_as(inputs[i]);
  }
  rerun.output = run_chain(inputs);
  return chain_gradients(std::move(rerun.output), std::move(grad_output), rerun.leaves);
}

void Region::drop() {
  const std::lock_guard lock(mutex_);
  may_release_ = false;
  for (auto& input : inputs_) input.reset_data();
  for (auto& kept : kept_) kept.reset_data();
  rerun_.reset();
  if (is_filled_ && !must_stay_filled_) vacate_storage();
}

}  // namespace invact::kernels
