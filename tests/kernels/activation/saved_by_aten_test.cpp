// What ATen itself saves for each activation, on the LibTorch at hand: the reason for every row of
// the catalog, and for every operator that needs none.
#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <gtest/gtest.h>

#include <string>

#include "kernels/catalog.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

/// Calls the ATen operator with its schema's defaults behind `self`, and `approximate` where there
/// is one.
at::Tensor call_aten(std::string_view op, const std::string& variant, const at::Tensor& self) {
  const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(std::string(op).c_str(), "");
  torch::jit::Stack stack;
  for (const c10::Argument& argument : handle.schema().arguments()) {
    if (argument.name() == "self") {
      stack.emplace_back(self);
    } else if (argument.name() == "approximate") {
      stack.emplace_back(variant);
    } else {
      stack.push_back(argument.default_value().value());
    }
  }
  handle.callBoxed(stack);
  return stack.front().toTensor();
}

TEST(SavedByAtenTest, ReplacedOperatorsKeepMoreThanTheirOutput) {
  for (const kernels::Activation& row : kernels::activations()) {
    SCOPED_TRACE(std::string(row.aten_op) + " " + std::string(row.variant));
    const at::Tensor input = normal({9}, at::kFloat).requires_grad_() * 1;
    const SavedTensorRecorder recorder;
    const at::Tensor output = call_aten(row.aten_op, std::string(row.variant), input);
    bool saves_something_else = false;
    for (const at::Tensor& saved : recorder.saved()) {
      if (row.in_place || !saved.is_alias_of(output)) saves_something_else = true;
      if (row.in_place) {
        EXPECT_FALSE(saved.is_alias_of(output));
      }
    }
    EXPECT_TRUE(saves_something_else);
  }
}

TEST(SavedByAtenTest, LogSigmoidSavesTwoTensors) {
  const at::Tensor input = normal({9}, at::kFloat).requires_grad_();
  const SavedTensorRecorder recorder;
  const at::Tensor output = at::log_sigmoid(input);
  ASSERT_EQ(recorder.saved().size(), 2u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(input));
  EXPECT_EQ(recorder.saved()[1].nbytes(), input.nbytes());
}

TEST(SavedByAtenTest, OutputKeepingOperatorsKeepTheirOutputAlone) {
  for (const std::string_view op : kernels::output_saving_activations()) {
    SCOPED_TRACE(op);
    const at::Tensor input = normal({9}, at::kFloat).requires_grad_() * 1;
    const SavedTensorRecorder recorder;
    const at::Tensor output = call_aten(op, "", input);
    ASSERT_EQ(recorder.saved().size(), 1u);
    EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
    EXPECT_FALSE(kernels::is_activation(op));
  }
}

}  // namespace
}  // namespace invact::testing
