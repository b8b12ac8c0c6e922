// What is printed, against golden files; INVACT_UPDATE_GOLDENS=1 rewrites them.
#include "cli/render.h"

#include <gtest/gtest.h>

#include "cli/render/device.h"
#include "tests/support/device_reports.h"
#include "tests/support/golden.h"

namespace invact {
namespace {

using test::expect_golden;

/// Two linears around a gelu, and one gelu whose output nobody keeps.
Trace small_trace() {
  Trace trace;
  trace.model = {"model.pt", "", 1 << 20, 12, true};
  trace.run = {"cpu", "train", "eager", 7, 2};
  trace.inputs = {{"x", {"float32", {8, 16}, 128, 512}, "randn"}};
  trace.modules = {{"", "__torch__.Net"}, {"block.act", "__torch__.torch.nn.GELU"}};
  for (int64_t id = 0; id < 3; ++id)
    trace.storages.push_back({{id}, 3 << 20, StorageRole::kActivation});
  const auto call = [&](const char* op, const char* module, int64_t line) {
    OperatorCall& made = trace.calls.emplace_back();
    made.id = {static_cast<int64_t>(trace.calls.size()) - 1};
    made.op = op;
    made.module_path = module;
    made.attributed = true;
    made.source = {"/env/lib/site-packages/net/model.py", line};
  };
  call("aten::linear", "", 5);
  call("aten::gelu", "block.act", 6);
  call("aten::linear", "", 7);
  trace.calls[1].output = StorageId{2};
  for (int64_t id = 0; id < 3; ++id) {
    trace.saved.push_back({{id}, {id}, {"float32", {8, 98304}, 786432, 3 << 20}});
  }
  return trace;
}

Plan small_plan() {
  Plan plan;
  plan.saved_bytes_before = 9 << 20;
  plan.saved_bytes_after = (6 << 20) + 98304;
  Site accepted;
  accepted.id = "block.act/forward#1";
  accepted.op = "aten::gelu";
  accepted.replacement = "invact::gelu";
  accepted.accepted = true;
  accepted.saved_bytes_delta = 98304 - (3 << 20);
  Site rejected = accepted;
  rejected.id = "head/forward#4";
  rejected.accepted = false;
  rejected.reason_code = "output_not_kept";
  rejected.reason = "nobody else keeps its output";
  rejected.source = {"/home/me/net.py", 40};
  plan.sites = {accepted, rejected};
  return plan;
}

TEST(RenderTest, Report) {
  expect_golden(render_report(build_report(small_trace()), small_plan(), {{}, 2, false}),
                "analyze.txt");
}

TEST(RenderTest, SitesWithDetails) {
  expect_golden(render_sites(small_plan(), {{}, 10, true}), "sites.txt");
}

TEST(RenderTest, FailedVerification) {
  Verification verification;
  verification.seed = 3;
  verification.saved_bytes_before = 9 << 20;
  verification.saved_bytes_after = 6 << 20;
  verification.gradient_distance = 0.25;
  verification.gradient_tolerance = 1e-5;
  verification.reference_distance = 2e-6;
  TensorComparison& output = verification.outputs.emplace_back();
  output.name = "output";
  output.max_abs_error = 0.5;
  TensorComparison& gradient = verification.gradients.emplace_back();
  gradient.name = "fc.weight";
  gradient.distance = 0.25;
  gradient.worst_index = {3, 1};
  gradient.worst_original = 1;
  gradient.worst_rewritten = 1.25;
  verification.failures = {"The gradient of 'fc.weight' lies too far."};
  expect_golden(render_verification(verification, {}), "verification.txt");
}

TEST(RenderTest, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(-2048), "-2.0 KiB");
  EXPECT_EQ(format_bytes(1048575), "1.0 MiB");
  EXPECT_EQ(format_bytes(436623504), "416.4 MiB");
  EXPECT_EQ(format_bytes(int64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(format_change(2048), "+2.0 KiB");
  EXPECT_EQ(format_change(-512), "-512 B");
  EXPECT_EQ(format_change(0), "0 B");
}

TEST(RenderTest, Device) {
  expect_golden(render_device(test::small_device_report(), {{}, 1}), "device.txt");
}

TEST(RenderTest, DeviceWithoutCupti) {
  const std::string text =
      render_device(build_device_report({16 << 20, 20 << 20}, 9 << 20, "no CUPTI"), {});
  EXPECT_NE(text.find("What lies outside was not recorded: no CUPTI."), std::string::npos);
  EXPECT_EQ(text.find("GPU TIME"), std::string::npos);
}

}  // namespace
}  // namespace invact
