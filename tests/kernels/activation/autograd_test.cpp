// What the operators save, to the byte, and the corners of autograd: no_grad, in place, views,
// leaks, hooks, double backward.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <set>

#include "kernels/catalog.h"
#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AutogradTest : public ::testing::TestWithParam<size_t> {
 protected:
  const OpCase& op() const { return op_cases()[GetParam()]; }
  std::string op_name() const { return op().op; }
  size_t saved_count() const { return op().has_branch_bit() ? 2 : 1; }
};

/// Operators that have an in-place form.
class InPlaceAutogradTest : public AutogradTest {};

/// Operators that have a branch bit.
class BranchedAutogradTest : public AutogradTest {};

at::Tensor leaf(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return normal(sizes, dtype).requires_grad_();
}

template <class Call>
void expect_error(const Call& call, const std::string& part) {
  try {
    call();
    ADD_FAILURE() << "no error; expected one with '" << part << "'";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

int64_t branch_bytes(const OpCase& op, int64_t count) {
  return kernels::branch_bytes(op.row(), count);
}

TEST_P(AutogradTest, SavesTheOutputsStorageAndThePackedBits) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t count : {0, 1, 8, 1001}) {
      const at::Tensor input = leaf({count}, dtype);
      const SavedTensorRecorder recorder;
      const at::Tensor output = op().invact(input);
      ASSERT_EQ(recorder.saved().size(), saved_count());
      const at::Tensor& saved_output = recorder.saved()[0];
      EXPECT_TRUE(saved_output.is_alias_of(output));
      EXPECT_FALSE(saved_output.is_alias_of(input));
      EXPECT_EQ(saved_output.storage().nbytes(),
                static_cast<size_t>(count * output.element_size()));
      if (!op().has_branch_bit()) continue;
      const at::Tensor& saved_bits = recorder.saved()[1];
      EXPECT_EQ(saved_bits.scalar_type(), at::kByte);
      EXPECT_EQ(saved_bits.storage().nbytes(), static_cast<size_t>(branch_bytes(op(), count)));
    }
  }
}

TEST_P(AutogradTest, SharesOneStorageWithTheLinearLayerBehind) {
  const at::Tensor input = leaf({32, 16});
  const at::Tensor weight = leaf({16, 8});
  const SavedTensorRecorder recorder;
  const at::Tensor product = at::mm(op().invact(input), weight);
  std::set<const void*> storages;
  for (const at::Tensor& saved : recorder.saved())
    storages.insert(saved.storage().unsafeGetStorageImpl());
  EXPECT_EQ(storages.size(), saved_count() + 1);  // the output once, the bits, the weight
}

TEST_P(AutogradTest, SavesNothingWithoutNeed) {
  const SavedTensorRecorder recorder;
  op().invact(normal({9}, at::kFloat));
  {
    const at::NoGradGuard guard;
    const at::Tensor input = leaf({9});
    EXPECT_FALSE(op().invact(input).requires_grad());
  }
  EXPECT_THAT(recorder.saved(), IsEmpty());
}

TEST_P(BranchedAutogradTest, BitsFollowTheOutputsMemoryOrder) {
  const at::Tensor input =
      normal({2, 5, 3, 4}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  const SavedTensorRecorder recorder;
  const at::Tensor output = op().invact(input);
  ASSERT_TRUE(output.is_contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor bits = recorder.saved()[1];
  // The smallest output marks the minimum well enough to tell the branches of normal numbers apart.
  const at::Tensor flat_input = input.detach().permute({0, 2, 3, 1}).reshape({-1});
  const at::Tensor flat_output = output.detach().permute({0, 2, 3, 1}).reshape({-1});
  const double minimum_x =
      at::linspace(-2, 0, 200001)[op().aten(at::linspace(-2, 0, 200001)).argmin()].item<double>();
  for (int64_t i = 0; i < flat_input.numel(); ++i) {
    if (flat_output[i].item<double>() > 0) continue;  // its place may hold a refinement code
    const bool bit = bits[i / 8].item<int>() >> i % 8 & 1;
    EXPECT_EQ(bit, flat_input[i].item<double>() < minimum_x) << i;
  }
}

TEST_P(AutogradTest, HookThatChangesStridesDoesNotScrambleTheBits) {
  const at::Tensor input =
      normal({2, 5, 3, 4}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  const at::Tensor grad_output = normal({2, 5, 3, 4}, at::kFloat);
  const at::Tensor expected = gradient(op().invact(input), input, grad_output);
  const SavedTensorRecorder recorder(
      [](const at::Tensor& saved) { return saved.contiguous().clone(); });
  EXPECT_TRUE(same_bits(gradient(op().invact(input), input, grad_output), expected));
}

TEST_P(AutogradTest, ModifyingTheSavedOutputRaisesTheVersionError) {
  const at::Tensor input = leaf({9});
  at::Tensor output = op().invact(input);
  output.add_(1);
  expect_error([&] { gradient(output, input, at::ones({9})); }, "modified by an inplace operation");
}

TEST_P(InPlaceAutogradTest, InPlaceBumpsTheVersionForEarlierSavers) {
  const at::Tensor input = leaf({9});
  at::Tensor exponential = input.exp();  // saves its own output
  op().invact_in_place(exponential);
  expect_error([&] { gradient(exponential, input, at::ones({9})); },
               "modified by an inplace operation");
  at::Tensor plain = normal({9}, at::kFloat);
  const auto version = plain._version();
  op().invact_in_place(plain);
  EXPECT_GT(plain._version(), version);
}

TEST_P(InPlaceAutogradTest, InPlaceSavesTheOverwrittenTensorItself) {
  const at::Tensor input = leaf({1001});
  at::Tensor tracked = input * 1;
  const SavedTensorRecorder recorder;
  op().invact_in_place(tracked);
  ASSERT_EQ(recorder.saved().size(), saved_count());
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(tracked));
  if (!op().has_branch_bit()) return;
  EXPECT_EQ(recorder.saved()[1].nbytes(), static_cast<size_t>(branch_bytes(op(), 1001)));
}

TEST_P(InPlaceAutogradTest, InPlaceOnALeafRaisesAtensError) {
  at::Tensor input = leaf({9});
  const at::Tensor before = input.detach().clone();
  expect_error([&] { op().invact_in_place(input); },
               "a leaf Variable that requires grad is being used in an in-place");
  EXPECT_TRUE(same_bits(input, before));
  at::Tensor view = input.view({3, 3});
  expect_error([&] { op().invact_in_place(view); }, "a view of a leaf Variable that requires grad");
}

TEST_P(InPlaceAutogradTest, InPlaceOnAViewIsRight) {
  const at::Tensor input = leaf({6, 8});
  const std::vector<std::function<at::Tensor(const at::Tensor&)>> make_views = {
      [](const at::Tensor& base) { return base.slice(1, 1, 6); },
      [](const at::Tensor& base) { return base.slice(0, 1, 4); },
      [](const at::Tensor& base) { return base.view({48}); },
      [](const at::Tensor& base) { return base.t(); },
  };
  const auto expect_near = [&](const at::Tensor& found, const at::Tensor& expected) {
    const at::Tensor weight = normal(found.sizes(), at::kFloat);
    const at::Tensor difference =
        gradient(found, input, weight) - gradient(expected, input, weight);
    EXPECT_LE(difference.abs().max().item<double>(),
              gradient_tolerance(op(), at::kFloat, weight.abs().max().item<double>()));
  };
  for (const auto& make_view : make_views) {
    const at::Tensor base = input.clone();
    const at::Tensor expected_base = input.clone();
    at::Tensor view = make_view(base);
    at::Tensor expected_view = make_view(expected_base);
    EXPECT_EQ(&op().invact_in_place(view), &view);
    op().aten_in_place(expected_view);
    EXPECT_TRUE(same_bits(base, expected_base));
    EXPECT_TRUE(same_bits(view, expected_view));
    expect_near(base, expected_base);
    expect_near(view, expected_view);
  }
}

TEST_P(InPlaceAutogradTest, InPlaceOnABaseReachesItsViews) {
  const at::Tensor input = leaf({6, 8});
  const auto gradient_through_view = [&](const auto& in_place) {
    at::Tensor base = input.clone();
    const at::Tensor view = base.slice(1, 1, 6);
    in_place(base);
    return gradient(view, input, at::ones({6, 5}));
  };
  const at::Tensor difference =
      gradient_through_view(op().invact_in_place) - gradient_through_view(op().aten_in_place);
  EXPECT_LE(difference.abs().max().item<double>(), gradient_tolerance(op(), at::kFloat, 1));
}

/// Whether the output's memory is freed once the tensors are gone, with the graph never
/// run.
template <class Make>
bool is_freed(const Make& make) {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage = [&] {
    const at::Tensor output = make();
    return output.storage().getWeakStorageImpl();
  }();
  return storage.expired();
}

TEST_P(AutogradTest, LeaksNothing) {
  const at::Tensor input = leaf({6, 8});
  EXPECT_TRUE(is_freed([&] { return op().invact(input); }));
  if (op().invact_in_place) {
    EXPECT_TRUE(is_freed([&] {
      at::Tensor tracked = input * 1;
      return op().invact_in_place(tracked);
    }));
    EXPECT_TRUE(is_freed([&] {
      at::Tensor view = (input * 1).slice(1, 1, 6);
      return op().invact_in_place(view);
    }));
  }
  EXPECT_TRUE(is_freed([&] {
    const at::Tensor output = op().invact(input);
    torch::autograd::grad({output.sum()}, {input}, {}, /*retain_graph=*/true,
                          /*create_graph=*/true);
    return output;
  }));
}

TEST_P(AutogradTest, SecondBackwardNeedsRetainGraph) {
  const at::Tensor input = leaf({9});
  const at::Tensor output = op().invact(input);
  const at::Tensor ones = at::ones({9});
  const auto run = [&](bool retain) {
    return torch::autograd::grad({output}, {input}, {ones}, retain)[0];
  };
  const at::Tensor first = run(true);
  EXPECT_TRUE(same_bits(run(false), first));
  expect_error([&] { run(false); }, "second time");
}

TEST_P(AutogradTest, DoubleBackwardAlongGradOutputIsRight) {
  const at::Tensor input = leaf({9}, at::kDouble);
  const at::Tensor grad_output = leaf({9}, at::kDouble);
  const at::Tensor first = torch::autograd::grad({op().invact(input)}, {input}, {grad_output},
                                                 std::nullopt, /*create_graph=*/true)[0];
  const at::Tensor again = torch::autograd::grad({first.sum()}, {grad_output})[0];
  EXPECT_TRUE(same_bits(again, gradient(op().invact(input), input, at::ones({9}, at::kDouble))));
}

TEST_P(AutogradTest, DoubleBackwardThroughTheInputRaisesByName) {
  const at::Tensor input = leaf({9});
  // Mixed with a path that has a second derivative: dropping ours would give a wrong number without
  // a word.
  const at::Tensor value = op().invact(input).sum() + input.pow(3).sum();
  const at::Tensor first =
      torch::autograd::grad({value}, {input}, {}, std::nullopt, /*create_graph=*/true)[0];
  const at::Tensor sum = first.sum();
  const auto differentiate = [&] { torch::autograd::grad({sum}, {input}, {}, true); };
  expect_error(differentiate, op_name() + ": double backward");
  expect_error([&] { torch::autograd::backward({sum}, {}, true); },
               op_name() + ": double backward");
}

TEST_P(AutogradTest, UndefinedAndChainedGradientsWork) {
  const at::Tensor input = leaf({9});
  const at::Tensor twice = op().invact(op().invact(input));
  const at::Tensor found = gradient(twice, input, at::ones({9}));
  const at::Tensor expected = gradient(op().aten(op().aten(input)), input, at::ones({9}));
  EXPECT_LE((found - expected).abs().max().item<double>(),
            2 * gradient_tolerance(op(), at::kFloat, 1.2));
}

INSTANTIATE_TEST_SUITE_P(All, InPlaceAutogradTest, ::testing::ValuesIn(in_place_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });
INSTANTIATE_TEST_SUITE_P(All, BranchedAutogradTest, ::testing::ValuesIn(branched_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });
INSTANTIATE_TEST_SUITE_P(All, AutogradTest, ::testing::Range(size_t{0}, op_cases().size()),
                         [](const auto& info) { return op_cases()[info.param].name; });

}  // namespace
}  // namespace invact::testing
