// Every comparison the bench makes, and how one is carried out.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/comparison.h"
#include "bench/goals.h"
#include "bench/operator_table.h"

namespace invact::bench {

/// One comparison, as it is registered.
struct KernelComparison {
  Subject subject;
  const BenchOperator* op;
  at::ScalarType dtype;
  c10::DeviceType device;

  bool is_forward() const { return subject.direction == "forward"; }
  Clock clock() const {
    if (device == c10::kCUDA) return Clock::kGpu;
    return subject.thread_count == 1 ? Clock::kThread : Clock::kWall;
  }
  const char* aten_name() const {
    return is_forward() ? op->aten_forward_name : op->aten_backward_name;
  }
};

/// CPU: one and all threads. A GPU where there is one. A forward without a branch bit is ATen's own
/// and is left out.
std::vector<KernelComparison> kernel_comparisons();

struct Measurement {
  Finding finding;
  Samples samples;
  int64_t bytes_per_call;  ///< Read and written, by our side and by the copy.
};

class ComparisonRunner {
 public:
  /// Sets the number of threads and leaves it so. `on_pair` as in compare().
  Measurement run(const KernelComparison& comparison, int pairs,
                  c10::function_ref<void(double)> on_pair);

 private:
  /// Neighbouring comparisons share their arrays.
  struct Key {
    at::ScalarType dtype;
    c10::DeviceType device;
    int64_t count;
    bool operator==(const Key&) const = default;
  };
  Arrays& arrays_for(const KernelComparison& comparison);

  Key key_{};
  std::optional<Arrays> arrays_;
};

}  // namespace invact::bench
