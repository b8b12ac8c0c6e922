// Recompute regions against the same models without them: outputs, gradients and random numbers
// bit for bit, and exactly what is kept.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>
#include <thread>

#include "tests/kernels/dropout_runs.h"
#include "tests/kernels/op_cases.h"
#include "tests/kernels/recompute_models.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;

class RecomputeTest : public ::testing::Test {
 protected:
  // One thread: the order of a reduction is the same then, whoever calls it.
  RecomputeTest() { at::set_num_threads(1); }
  ~RecomputeTest() override { at::set_num_threads(threads_before_); }

  torch::jit::Module block_ = make_model(block_parameters(), block_source(true));
  torch::jit::Module plain_ = make_model(block_parameters(), block_source(false));
  at::Tensor input_ = normal({6, 8}, at::kFloat);

 private:
  int threads_before_ = at::get_num_threads();
};

TEST_F(RecomputeTest, TrainsBitForBit) {
  expect_same_training(block_, plain_, input_);
}

TEST_F(RecomputeTest, KeepsTheChainsInputsAndGivesItsOutputBack) {
  const at::Tensor input = leaf(input_);
  const SavedTensorRecorder recorder;
  const at::Tensor output = block_.forward({input}).toTensor();
  // x, scale, shift; the norm's output is given back; up; h, the bits; the second output is given
  // back; down.
  EXPECT_THAT(storage_bytes(recorder), ElementsAre(4 * 6 * 8, 4 * 8, 4 * 8, 0, 4 * 32 * 8,
                                                   4 * 6 * 32, 6 * 32 / 8, 0, 4 * 8 * 32));
}

TEST_F(RecomputeTest, SurvivesSavingAndLoading) {
  std::stringstream file;
  block_.save(file);
  torch::jit::Module loaded = torch::jit::load(file);
  expect_same_training(loaded, plain_, input_);
}

}  // namespace
}  // namespace invact::testing
