// The prediction that a GPU's allocator is measured against, here against the CPU's: to the byte.
#include "bench/training_memory.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace invact::testing {
namespace {

using bench::measure_memory;
using bench::MemoryUse;
using bench::predict_memory;
using bench::trained_activations;
using bench::TrainedActivation;
using bench::TrainingShape;

std::string text(const MemoryUse& use) {
  return std::to_string(use.saved_bytes) + " kept, " + std::to_string(use.peak_bytes) +
         " at the peak";
}

class TrainingMemory : public ::testing::TestWithParam<TrainedActivation> {};

TEST_P(TrainingMemory, IsAsPredicted) {
  const TrainedActivation& activation = GetParam();
  for (const int64_t blocks : {1, 2, 5}) {
    // Wide and narrow: the peak lies in another place.
    for (const auto& [width, hidden] : {std::pair(32, 128), std::pair(128, 32)}) {
      const TrainingShape shape{blocks, 64, width, hidden, at::kFloat};
      SCOPED_TRACE(std::to_string(blocks) + " blocks, hidden " + std::to_string(hidden));
      EXPECT_EQ(text(measure_memory(shape, at::kCPU, activation.ours)),
                text(predict_memory(shape, /*saves_input=*/false, activation.branch_bits)));
      EXPECT_EQ(text(measure_memory(shape, at::kCPU, activation.aten)),
                text(predict_memory(shape, /*saves_input=*/true, 0)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, TrainingMemory, ::testing::ValuesIn(trained_activations()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace invact::testing
