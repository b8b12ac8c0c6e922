// CUDA kernels of the norms: device guard, current stream and memory around the launches of
// norm_loops.h; and a cache of which weights and biases on a GPU let a norm's output determine
// x_hat. The host has to know that before it saves a tensor, and the numbers lie on the device: an
// answer is read once and holds for as long as neither tensor changes (ADR 3).
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/UndefinedTensorImpl.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/library.h>

#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "kernels/cuda/norm_loops.h"
#include "kernels/element_type_of.h"
#include "kernels/norm/norm_kernels.h"

namespace invact::kernels {
namespace {

/// A tensor that is watched but not kept alive. Its address is not given to another tensor
/// meanwhile.
class Watched {
 public:
  explicit Watched(const at::Tensor& tensor) : tensor_(tensor.getIntrusivePtr()) {}

  /// Undefined where it was, or where it is gone.
  at::Tensor lock() const {
    auto alive = tensor_.lock();
    return alive ? at::Tensor(std::move(alive)) : at::Tensor();
  }

 private:
  c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl> tensor_;
};

struct Question {
  const c10::TensorImpl* weight;
  const c10::TensorImpl* bias;
  double weight_offset;
  at::ScalarType dtype;
  auto operator<=>(const Question&) const = default;
};

struct Answer {
  Watched weight;
  Watched bias;
  std::tuple<int64_t, int64_t> versions;  ///< For which `value` holds.
  bool value;
};

int64_t version_of(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<int64_t>(tensor._version()) : 0;
}

std::tuple<int64_t, int64_t> versions_of(const NormParameters& parameters) {
  return {version_of(parameters.weight), version_of(parameters.bias)};
}

const at::Tensor& any_of(const NormParameters& parameters) {
  return parameters.weight.defined() ? parameters.weight : parameters.bias;
}

/// Puts the answer into *answer on the device.
void ask(const NormParameters& parameters, const Question& question, uint8_t* answer) {
  const NormParameters computed =
      computed_parameters(parameters, question.weight_offset, compute_dtype(question.dtype));
  const auto address = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.const_data_ptr() : nullptr;
  };
  cuda::launch_is_recoverable(element_type_of(question.dtype), address(computed.weight),
                              address(computed.bias), any_of(computed).numel(), answer,
                              c10::cuda::getCurrentCUDAStream());
}

class Cache {
 public:
  bool find(const NormParameters& parameters, const Question& question) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(question);
    if (found != answers_.end() && found->second.versions == versions_of(parameters)) {
      return found->second.value;
    }
    const c10::cuda::CUDAGuard guard(any_of(parameters).device());
    if (c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None) {
      return false;
    }
    answers_.insert_or_assign(
        question, Answer{Watched(parameters.weight), Watched(parameters.bias), {-1, -1}, false});
    refresh(any_of(parameters).device());
    return answers_.at(question).value;
  }

 private:
  /// Reads every answer that does not hold any more, with one wait for the device.
  void refresh(at::Device device) {
    struct Stale {
      Answer* answer;
      NormParameters parameters;
    };
    std::vector<Stale> stale;
    std::vector<Question> questions;
    for (auto it = answers_.begin(); it != answers_.end();) {
      const NormParameters parameters{it->second.weight.lock(), it->second.bias.lock()};
      const bool is_gone = (it->first.weight != nullptr && !parameters.weight.defined()) ||
                           (it->first.bias != nullptr && !parameters.bias.defined());
      if (is_gone) {
        it = answers_.erase(it);
        continue;
      }
      if (any_of(parameters).device() == device && it->second.versions != versions_of(parameters)) {
        stale.push_back({&it->second, parameters});
        questions.push_back(it->first);
      }
      ++it;
    }
    const at::Tensor on_device =
        at::empty({static_cast<int64_t>(stale.size())}, at::TensorOptions(device).dtype(at::kByte));
    for (size_t i = 0; i < stale.size(); ++i) {
      ask(stale[i].parameters, questions[i], on_device.mutable_data_ptr<uint8_t>() + i);
    }
    const at::Tensor on_host = on_device.cpu();
    for (size_t i = 0; i < stale.size(); ++i) {
      stale[i].answer->versions = versions_of(stale[i].parameters);
      stale[i].answer->value = on_host.const_data_ptr<uint8_t>()[i] != 0;
    }
  }

  std::mutex mutex_;
  std::map<Question, Answer> answers_;
};

/// Waits for the device where weight or bias changed since the last call; all others that have
/// changed too are read along. While the current stream is being captured nothing is read, and the
/// answer is false where none is kept. Changes that LibTorch does not count (through `.data`) are
/// not seen.
bool is_recoverable(const NormParameters& parameters, double weight_offset, at::ScalarType dtype) {
  // Never destroyed: it holds tensors' control blocks, and CUDA may be gone at exit.
  static Cache& cache = *new Cache;
  // Tensors of inference mode count no versions.
  for (const at::Tensor& tensor : {parameters.weight, parameters.bias}) {
    if (tensor.defined() && tensor.is_inference()) return false;
  }
  const auto impl = [](const at::Tensor& tensor) -> const c10::TensorImpl* {
    return tensor.defined() ? tensor.unsafeGetTensorImpl() : nullptr;
  };
  return cache.find(parameters,
                    {impl(parameters.weight), impl(parameters.bias), weight_offset, dtype});
}

struct CudaNorms {
  static constexpr bool kTakesAnyDtype = false;

  static void backward(const NormGradient& gradient) {
    const c10::cuda::CUDAGuard guard(gradient.output.device());
    const auto address = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.const_data_ptr() : nullptr;
    };
    const auto writable = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
    };
    at::Tensor partial_sums;
    if (gradient.grad_weight.defined() || gradient.grad_bias.defined()) {
      partial_sums = at::empty({cuda::norm_row_blocks(gradient.rows), 2, gradient.columns},
                               gradient.rstd.options());
    }
    cuda::launch_norm_gradient(
        element_type_of(gradient.output), gradient.is_centered,
        {address(gradient.grad_output), address(gradient.output), address(gradient.rstd),
         address(gradient.parameters.weight), address(gradient.parameters.bias),
         writable(gradient.grad_input), writable(partial_sums), writable(gradient.grad_weight),
         writable(gradient.grad_bias), gradient.rows, gradient.columns},
        c10::cuda::getCurrentCUDAStream());
  }

  static bool recoverable(const NormParameters& parameters, double weight_offset,
                          at::ScalarType dtype) {
    return is_recoverable(parameters, weight_offset, dtype);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
  NormKernels<CudaNorms>::register_in(m);
}

}  // namespace invact::kernels
