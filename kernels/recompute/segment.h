// One execution of a recompute segment in training: what it saves, and how it runs once more when
// backward wants its output or its gradients. A segment does not own its output's storage: it finds
// the storage, frees its memory and lends it the memory of the second run's output. Internal.
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

class Segment {
 public:
  /// `saved` and `output`: what the method returned for `inputs`. `owns_storage`: nothing else is
  /// in the output's storage.
  static std::shared_ptr<Segment> make(SegmentMethod method, at::ArrayRef<at::Tensor> inputs,
                                       const std::vector<at::Tensor>& saved,
                                       const at::Tensor& output, bool owns_storage);
  /// The segment that made `storage` for its output; null where there is none, or none any more.
  static std::shared_ptr<Segment> of(const c10::StorageImpl* storage);

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment();

  /// From now on release() does nothing.
  void forbid_release();
  /// Frees the output's memory, unless the output was changed in place.
  void release();
  /// Makes the data of a released output again. It may be called any number of times. @throws
  /// c10::Error where an input was changed in place, or after drop().
  void refill();

  /// One gradient per input; undefined where not `is_wanted`. Frees a released storage again. In
  /// grad mode the gradients have a graph, which may read the output: it stays filled then.
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

  Segment(SegmentMethod method, at::ArrayRef<at::Tensor> inputs,
          const std::vector<at::Tensor>& saved, const at::Tensor& output, bool owns_storage);

  std::vector<at::Tensor> unpack_inputs() const;
  at::Tensor run_method(const std::vector<at::Tensor>& inputs) const;
  Rerun run_again() const;
  void check_layout(const at::Tensor& again) const;
  void vacate_storage();
  void end_filling();
  std::vector<at::Tensor> differentiable_gradients(at::Tensor grad_output,
                                                   const std::vector<bool>& is_wanted);

  // Recursive: a backward within backward may come back to the segment that it started from.
  std::recursive_mutex mutex_;
  SegmentMethod method_;
  AutocastState autocast_ = AutocastState::now();
  std::vector<torch::autograd::SavedVariable> inputs_;
  std::vector<bool> takes_gradient_;
  std::vector<torch::autograd::SavedVariable> saved_;

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
