// On the CPU: which operator call is marked does not depend on the device.
#include "analyzer/observation/operator_marks.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>

#include "analyzer/error.h"
#include "analyzer/inputs/inputs.h"
#include "analyzer/observation/session.h"
#include "analyzer/reporting/build_device_report.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

class CountingListener : public OperatorMarkListener {
 public:
  void begin(ExternalId id) override {
    const std::lock_guard lock(mutex_);
    ++begins[id];
    ++open;
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    --open;
  }
  std::map<ExternalId, int> begins;
  int open = 0;

 private:
  std::mutex mutex_;
};

struct Marked {
  std::vector<OperatorCall> calls;
  CountingListener listener;
  /// How often a call's operator was marked in `pass`.
  int count(const std::string& op, Pass pass) const {
    int sum = 0;
    for (const OperatorCall& call : calls) {
      const auto found = listener.begins.find(external_id(call.id, pass));
      if (call.op == op && found != listener.begins.end()) sum += found->second;
    }
    return sum;
  }
};

std::unique_ptr<Marked> step(Model model, const std::string& input) {
  auto marked = std::make_unique<Marked>();
  const RunSettings settings;
  prepare_process(settings);
  const auto inputs = make_inputs(model, {parse_input_spec(input)}, 0, settings.device);
  const OperatorMarks marks(model.module, marked->listener);
  run_step(model, inputs, settings);
  marked->calls = marks.calls();
  return marked;
}

/// As allocators report it, without times.
std::vector<std::pair<int64_t, int64_t>> blocks(const StepMemory& memory) {
  std::vector<std::pair<int64_t, int64_t>> blocks;
  for (const Allocation& allocation : memory.allocations) {
    blocks.emplace_back(allocation.bytes, allocation.op);
  }
  return blocks;
}

/// A GPU's records and the allocator's reports come from one step (device_step.h).
TEST(OperatorMarksTest, TheStepWhoseMemoryIsReportedCanBeMarked) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 4, 8, 4));
  const RunSettings settings;
  const auto inputs = make_inputs(model, {parse_input_spec("3x4")}, 0, settings.device);
  const Trace plain = observe_step(model, inputs, settings);
  Trace marked;
  CountingListener listener;
  {
    const OperatorMarks marks(model.module, listener);
    marked = observe_step(model, inputs, settings);
    EXPECT_EQ(marks.calls().size(), 3u);
  }
  EXPECT_EQ(listener.open, 0);
  EXPECT_EQ(listener.begins[external_id({1}, Pass::kBackward)], 1) << "gelu";
  ASSERT_TRUE(plain.step_memory && marked.step_memory);
  EXPECT_EQ(marked.step_memory->operators, plain.step_memory->operators);
  EXPECT_EQ(blocks(*marked.step_memory), blocks(*plain.step_memory));
}

TEST(OperatorMarksTest, OutermostOperatorsWithTheirBackward) {
  const auto marked = step(saved_and_loaded(make_mlp("torch.gelu(h)", 4, 8, 4)), "3x4");
  std::vector<std::string> ops;
  for (const OperatorCall& call : marked->calls) {
    ops.push_back(call.op);
    EXPECT_TRUE(call.attributed) << call.op;
    EXPECT_FALSE(call.frames.empty()) << call.op;
  }
  EXPECT_THAT(ops, ::testing::ElementsAre("aten::linear", "aten::gelu", "aten::linear"));
  EXPECT_EQ(marked->count("aten::linear", Pass::kForward), 2);
  EXPECT_EQ(marked->count("aten::gelu", Pass::kForward), 1);
  EXPECT_EQ(marked->count("aten::gelu", Pass::kBackward), 1);
  // Each linear leaves a node of its own for the product and one for the weight's transpose.
  EXPECT_EQ(marked->count("aten::linear", Pass::kBackward), 4);
  EXPECT_EQ(marked->listener.open, 0);
}

TEST(OperatorMarksTest, EveryTurnOfALoopIsACallWithItsOwnBackward) {
  const auto marked = step(saved_and_loaded(make_module("Loop", {{"w", parameter({4, 4})}}, R"(
def turn(self, x):
    return torch.tanh(torch.matmul(x, self.w))
def forward(self, x):
    for i in range(3):
        x = self.turn(x)
    return x
)")),
                           "4x4");
  EXPECT_EQ(marked->count("aten::tanh", Pass::kForward), 3);
  EXPECT_EQ(marked->count("aten::tanh", Pass::kBackward), 3);
  for (const OperatorCall& call : marked->calls) {
    if (call.op != "aten::tanh") continue;
    EXPECT_EQ(call.method, "turn");
    EXPECT_EQ(marked->listener.begins.at(external_id(call.id, Pass::kBackward)), 1);
  }
}

TEST(OperatorMarksTest, NothingIsMarkedOutsideTheModelAndBothEndsMeet) {
  CountingListener listener;
  const Model model = saved_and_loaded(make_mlp("torch.relu(h)", 4, 8, 4));
  const OperatorMarks marks(model.module, listener);
  const at::Tensor leaf = at::ones({3}).requires_grad_();
  leaf.mul(2).sum().backward();
  EXPECT_TRUE(listener.begins.empty());
  EXPECT_TRUE(marks.calls().empty());
}

TEST(OperatorMarksTest, OneAtATime) {
  CountingListener listener;
  const Model model = saved_and_loaded(make_mlp("torch.relu(h)", 4, 8, 4));
  const OperatorMarks marks(model.module, listener);
  EXPECT_THROW(OperatorMarks(model.module, listener), Error);
}

}  // namespace
}  // namespace invact::testing
