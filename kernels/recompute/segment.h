// One execution of a chain in training: what it keeps, and how it runs once more when backward
// wants its output or its gradients. A region does not own its output's storage: it finds it, gives
// its memory back and lends it the second run's. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/StorageImpl.h>
#include <c10/core/Stream.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "kernels/recompute/autocast_state.h"
#include "kernels/recompute/segment_method.h"

namespace invact::kernels {

class Region {
 public:
  /// `output`: what the chain gave of `inputs`; `owns_storage`: nothing else is in its storage.
  static std::shared_ptr<Region> make(Chain chain, at::ArrayRef<at::Tensor> inputs,
                                      const std::vector<at::Tensor>& kept, const at::Tensor& output,
                                      bool owns_storage);
  /// Null where no region made `storage` for its output, and once the region is gone.
  static std::shared_ptr<Region> of(const c10::StorageImpl* storage);

  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();

  /// From now on release() does nothing.
  void forbid_release();
  /// Vacates the output's storage; not where the output was changed in place.
  void release();
  /// The output's data again, where it was released. Any number of times. @throws c10::Error where
  /// an input was changed in place, or after drop().
  void refill();

  /// By input; undefined where not `is_wanted`. Vacates a released storage again. In grad mode the
  /// gradients have a graph, which may read the output: it stays filled then.
  std::vector<at::Tensor> gradients(at::Tensor grad_output, const std::vector<bool>& is_wanted);
  /// Backward is over: lets go of everything.
  void drop();

 private:
  /// A second run, and those of its inputs that take a gradient.
  struct Rerun {
    at::Tensor output;
    std::vector<at::Tensor> leaves;
    std::optional<c10::Stream> stream;
  };

  Region(Chain chain, at::ArrayRef<at::Tensor> inputs, const std::vector<at::Tensor>& kept,
         const at::Tensor& output, bool owns_storage);

  std::vector<at::Tensor> unpack_inputs() const;
  at::Tensor run_chain(const std::vector<at::Tensor>& inputs) const;
  Rerun run_again() const;
  void check_layout(const at::Tensor& again) const;
  void vacate_storage();
  void end_filling();
  std::vector<at::Tensor> differentiable_gradients(at::Tensor grad_output,
                                                   const std::vector<bool>& is_wanted);

  // Recursive: a backward within backward may come back to the region that it started from.
  std::recursive_mutex mutex_;
  Chain chain_;
  AutocastState autocast_ = AutocastState::now();
  std::vector<torch::autograd::SavedVariable> inputs_;
  std::vector<bool> takes_gradient_;
  std::vector<torch::autograd::SavedVariable> kept_;

  // The output, without what would keep it alive.
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_;
  c10::VariableVersion version_;
  uint32_t version_made_;
  at::DimVector sizes_;
  at::DimVector strides_;
  size_t nbytes_;

  const bool owns_storage_;
  bool may_release_;
  bool is_released_ = false;
  bool is_filled_ = false;  // of a released storage: it has the second run's data
  bool must_stay_filled_ = false;
  std::optional<c10::Stream> filling_stream_;
  std::optional<Rerun> rerun_;
};

}  // namespace invact::kernels
