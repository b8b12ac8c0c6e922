#include "kernels/recompute/segment.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/Event.h>
#include <c10/core/Storage.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/variable.h>

#include <string>
#include <unordered_map>
#include <utility>

#include "kernels/recompute/segment_backward.h"

namespace invact::kernels {
namespace {

/// Finds the segment that made a storage. A mark in the data pointer would not
/// do: CUDA's record_stream ignores data pointers whose deleter is not its allocator's.
class SegmentTable {
 public:
  void add(const c10::StorageImpl* storage, std::weak_ptr<Segment> segment) {
    const std::lock_guard lock(mutex_);
    segments_[storage] = std::move(segment);
  }
  void remove(const c10::StorageImpl* storage) {
    const std::lock_guard lock(mutex_);
    segments_.erase(storage);
  }
  std::shared_ptr<Segment> find(const c10::StorageImpl* storage) {
    const std::lock_guard lock(mutex_);
    const auto found = segments_.find(storage);
    return found == segments_.end() ? nullptr : found->second.lock();
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const c10::StorageImpl*, std::weak_ptr<Segment>> segments_;
};

SegmentTable& segment_table() {
  static SegmentTable& table = *new SegmentTable;  // never destroyed: graphs may outlive main
  return table;
}

const std::string& released_message() {
  static const std::string message =
      "invact released this tensor's memory after forward: a recompute region makes it again for "
      "the backward of the operators that were known to keep it, and this reader is not one of "
      "them. Run the original model, or one without release, where the tensor is read elsewhere.";
  return message;
}

// LibTorch 2.11 has no public way to make a storage's data readable again once reading it raises;
// later releases have one. An explicit instantiation may name a private member.
bool c10::StorageImpl::*raises_member();

template <bool c10::StorageImpl::*kMember>
struct RaisesMember {
  friend bool c10::StorageImpl::*raises_member() { return kMember; }
};
template struct RaisesMember<&c10::StorageImpl::throw_on_immutable_data_ptr_>;

template <class Impl>
void allow_reading(Impl& storage) {
  if constexpr (requires { storage.clear_data_ptr_access_error_msg_(); }) {
    storage.clear_data_ptr_access_error_msg_();
  } else {
    storage.*raises_member() = false;
  }
}

void drop_owner(void* context) {
  const std::unique_ptr<c10::Storage> owner(static_cast<c10::Storage*>(context));
}

/// Frees the storage's memory: it counts zero bytes, and reading its data raises a c10::Error of
/// that message instead of giving a null pointer.
void vacate(c10::StorageImpl& storage, const std::string& message) {
  storage.set_data_ptr_noswap(c10::DataPtr(nullptr, storage.device()));
  storage.set_nbytes(size_t{0});
  storage.release_data_and_set_meta_custom_data_ptr_error_msg_(message);
}

/// Gives a vacated storage the data of `owner`, without a copy; `owner` lives as long as it is
/// lent.
void lend(c10::StorageImpl& storage, const c10::Storage& owner) {
  allow_reading(storage);
  auto context = std::make_unique<c10::Storage>(owner);
  void* const data = owner.data_ptr().get();
  storage.set_data_ptr_noswap(c10::DataPtr(data, context.release(), &drop_owner, owner.device()));
  storage.set_nbytes(owner.nbytes());
}

/// The stream that the calling thread's work on `device` goes to; none where there are no streams.
std::optional<c10::Stream> current_stream(c10::Device device) {
  if (device.is_cpu() || device.is_meta()) return std::nullopt;
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

/// Work that `second` gets from now on starts after the work that `first` has got: otherwise it
/// could read memory that `first` has not written yet.
void run_after(const std::optional<c10::Stream>& first, const std::optional<c10::Stream>& second) {
  if (!first || !second || *first == *second) return;
  c10::Event done(first->device_type());
  done.record(*first);
  done.block(*second);
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

std::shared_ptr<Segment> Segment::make(SegmentMethod method, at::ArrayRef<at::Tensor> inputs,
                                       const std::vector<at::Tensor>& saved,
                                       const at::Tensor& output, bool owns_storage) {
  std::shared_ptr<Segment> segment(
      new Segment(std::move(method), inputs, saved, output, owns_storage));
  if (owns_storage) segment_table().add(segment->storage_._unsafe_get_target(), segment);
  return segment;
}

std::shared_ptr<Segment> Segment::of(const c10::StorageImpl* storage) {
  return segment_table().find(storage);
}

Segment::Segment(SegmentMethod method, at::ArrayRef<at::Tensor> inputs,
                 const std::vector<at::Tensor>& saved, const at::Tensor& output, bool owns_storage)
    : method_(std::move(method)),
      inputs_(save(inputs)),
      saved_(save(saved)),
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

// The weak reference keeps the storage's address from being given to another storage until the
// entry is gone.
Segment::~Segment() {
  if (owns_storage_) segment_table().remove(storage_._unsafe_get_target());
}

void Segment::forbid_release() {
  const std::lock_guard lock(mutex_);
  may_release_ = false;
}

void Segment::release() {
  const std::lock_guard lock(mutex_);
  if (!may_release_ || is_released_ || version_.current_version() != version_made_) return;
  is_released_ = true;
  vacate_storage();
}

void Segment::vacate_storage() {
  is_filled_ = false;
  if (const auto storage = storage_.lock()) vacate(*storage, released_message());
}

void Segment::refill() {
  const std::lock_guard lock(mutex_);
  if (!is_released_) return;
  // The graph that is being made may save the output, and has no hooks of ours that refill it.
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

std::vector<at::Tensor> Segment::unpack_inputs() const {
  std::vector<at::Tensor> inputs = unpack(inputs_);
  for (const at::Tensor& input : inputs) {
    if (!input.defined() || !input.has_storage()) continue;
    if (const auto segment = of(input.storage().unsafeGetStorageImpl())) segment->refill();
  }
  return inputs;
}

at::Tensor Segment::run_method(const std::vector<at::Tensor>& inputs) const {
  const at::AutoGradMode grad_mode(true);
  const AutocastStateGuard autocast(autocast_);
  at::Tensor output = method_.run_again(inputs, unpack(saved_));
  check_layout(output);
  return output;
}

void Segment::check_layout(const at::Tensor& again) const {
  TORCH_CHECK(
      again.sizes() == sizes_ && again.strides() == strides_ && again.storage().nbytes() == nbytes_,
      "invact::recompute: chain '", method_.name(), "' gave a tensor of sizes ", sizes_,
      " and strides ", strides_, " in forward and one of ", again.sizes(), " and ", again.strides(),
      " when it ran again");
}

Segment::Rerun Segment::run_again() const {
  std::vector<at::Tensor> inputs = unpack_inputs();
  Rerun rerun;
  rerun.leaves.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = inputs[i].detach();
    if (takes_gradient_[i]) rerun.leaves[i] = inputs[i].requires_grad_();
  }
  rerun.output = run_method(inputs);
  rerun.stream = current_stream(rerun.output.device());
  return rerun;
}

/// Every reader of the second run's output has read it.
void Segment::end_filling() {
  const std::lock_guard lock(mutex_);
  if (is_filled_ && !must_stay_filled_) vacate_storage();
}

std::vector<at::Tensor> Segment::gradients(at::Tensor grad_output,
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
    // From here on only the saved tensors of the segment's own operators live, and each is freed
    // as its operator's backward has run.
    end_filling();
    return segment_gradients(std::move(rerun.output), std::move(grad_output), rerun.leaves);
  }
  std::vector<at::Tensor> found =
      segment_gradients(rerun.output, std::move(grad_output), rerun.leaves);
  end_filling();
  run_after(now, rerun.stream);  // the allocator may give the memory to that stream now
  return found;
}

// Differentiates by a view of each input: a gradient by the input itself would also count the ways
// that lead to it outside of this segment.
std::vector<at::Tensor> Segment::differentiable_gradients(at::Tensor grad_output,
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
  rerun.output = run_method(inputs);
  return segment_gradients(std::move(rerun.output), std::move(grad_output), rerun.leaves);
}

void Segment::drop() {
  const std::lock_guard lock(mutex_);
  may_release_ = false;
  for (auto& input : inputs_) input.reset_data();
  for (auto& saved : saved_) saved.reset_data();
  rerun_.reset();
  if (is_filled_ && !must_stay_filled_) vacate_storage();
}

}  // namespace invact::kernels
