// What is printed, against golden files; INVACT_UPDATE_GOLDENS=1 rewrites them.
#include "cli/render/render.h"

#include <gtest/gtest.h>

#include "analyzer/reporting/build_device_report.h"
#include "analyzer/reporting/build_report.h"
#include "cli/render/text.h"
#include "tests/support/golden.h"
#include "tests/support/records.h"

namespace invact::testing {
namespace {

/// Two linears around a gelu, and one gelu whose output is not saved.
Trace small_trace() {
  Trace trace;
  trace.model = {"model.pt", "", 1 << 20, 12, 1 << 20, true};
  trace.run = {"cpu", "train", "eager", "", 7, 2};
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
  trace.calls[1].outputs = {StorageId{2}};
  for (int64_t id = 0; id < 3; ++id) {
    trace.saved.push_back({{id}, {id}, {"float32", {8, 98304}, 786432, 3 << 20}});
  }
  return trace;
}

Plan small_plan() {
  Plan plan;
  plan.saved_bytes_before = 9 << 20;
  plan.saved_bytes_after = (6 << 20) + 98304;
  plan.fewest_saved_bytes = 6 << 20;
  Site accepted;
  accepted.id = "block.act/forward#1";
  accepted.op = "aten::gelu";
  accepted.edit = RenameOperator{"invact::gelu"};
  accepted.decision.accepted = true;
  accepted.saved_bytes_delta = 98304 - (3 << 20);
  Site rejected = accepted;
  rejected.id = "head/forward#4";
  rejected.decision.accepted = false;
  rejected.decision.reason_code = "output_not_kept";
  rejected.decision.reason = "nobody else keeps its output";
  rejected.source = {"/home/me/net.py", 40};
  plan.sites = {accepted, rejected};
  return plan;
}

TEST(RenderTest, Report) {
  expect_golden(render_report(build_report(small_trace()), small_plan(), {{}, 2, false}),
                "analyze.txt");
}

TEST(RenderTest, BothExecutors) {
  Report report = build_report(small_trace());
  report.run.executor = "default";
  report.run.autocast = "bfloat16";
  report.executors.emplace();
  report.executors->eager = {4, 4, 10 << 20, 0, 0, 0};
  report.executors->profiling = report.totals;
  report.executors->only_eager = {{"float32", {8, 4}, "aten::gelu", 1, 1 << 20}};
  report.executors->only_profiling = {{"bool", {8}, "prim::DifferentiableGraph", 3, 24}};
  expect_golden(render_report(report, small_plan(), {{}, 2, false}), "analyze_executors.txt");
}

TEST(RenderTest, SitesWithDetails) {
  expect_golden(render_sites(small_plan(), {{}, 10, true}), "sites.txt");
}

/// Four blocks of different size, nested modules with one child each, and bytes without a
/// module.
Report deep_report() {
  Report report;
  const auto add = [&](const std::string& path, const char* type, int64_t kib) {
    report.modules.push_back({path, std::string("__torch__.net.") + type, kib << 10});
    report.totals.saved_bytes += kib << 10;
  };
  add("", "Net", 64);
  for (const int64_t block : {0, 1, 2, 3}) {
    const std::string path = "encoder.layers." + std::to_string(block);
    add(path, "Block", 100);
    add(path + ".attention.self.projection_of_the_values", "Linear", 900 - 200 * block);
    add(path + ".mlp.act", "GELU", 700 - 100 * block);
  }
  add("head", "Linear", 3);
  report.totals.unattributed_bytes = 5 << 10;
  report.totals.saved_bytes += 5 << 10;
  return report;
}

MemoryTimeline small_timeline() {
  MemoryTimeline timeline;
  timeline.backend = "c10 CPU allocator";
  timeline.forward_end_ns = 4'000'000;
  timeline.end_ns = 12'000'000;
  constexpr int64_t kMebibyte = 1 << 20;
  for (int64_t i = 0; i <= 12; ++i) {
    const int64_t saved = i <= 4 ? 8 * i : 36 - 3 * i + (i == 12 ? 0 : 8);
    const int64_t gradients = i <= 4 ? 0 : i;
    timeline.points.push_back(
        {i * 1'000'000,
         {16 * kMebibyte, gradients * kMebibyte, saved * kMebibyte, i % 3 * kMebibyte, 0}});
  }
  timeline.peak = {(16 + 32 + 1) * kMebibyte,     4'000'000, StepPhase::kBackward, "aten::mm",
                   timeline.points[4].live_bytes, {}};
  return timeline;
}

TEST(RenderTest, ModuleTree) {
  expect_golden(render_module_tree(deep_report(), {{}, 4, false}), "module_tree.txt");
}

TEST(RenderTest, ModuleTreeWithDetailsWithoutUnicodeInANarrowTerminal) {
  expect_golden(render_module_tree(deep_report(), {{}, 4, true, {64, false}}),
                "module_tree_narrow.txt");
}

TEST(RenderTest, Timeline) {
  Report report;
  report.timeline = small_timeline();
  expect_golden(render_timeline(report, {}), "timeline.txt");
  expect_golden(render_timeline(report, {{}, 10, false, {50, false}}), "timeline_narrow.txt");
}

TEST(RenderTest, NoTimeline) {
  EXPECT_EQ(render_timeline({}, {}), "");
}

TEST(RenderTest, ShortensTheMiddle) {
  EXPECT_EQ(shorten("features.1.block.3", 18, {}), "features.1.block.3");
  EXPECT_EQ(shorten("features.1.block.3", 14, {}), "featur…block.3");
  EXPECT_EQ(shorten("features.1.block.3", 14, {14, false}), "featur..lock.3");
  EXPECT_EQ(shorten("éééééééééééééééé", 12, {}), "ééééé…éééééé");
  EXPECT_EQ(shorten("features.1.block.3", -5, {}), "featu…lock.3");
}

TEST(RenderTest, BarsHaveTheirWidth) {
  for (const bool unicode : {true, false}) {
    for (int64_t part = 0; part <= 64; ++part) {
      EXPECT_EQ(display_width(bar_text(part, 64, 7, {100, unicode})), 7) << part;
    }
  }
  EXPECT_EQ(bar_text(5, 8, 2, {}), "█▎");
  EXPECT_EQ(bar_text(1, 2, 4, {100, false}), "##  ");
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

TEST(RenderTest, Bench) {
  expect_golden(render_bench(small_bench_result(), {}), "bench.txt");
}

TEST(RenderTest, BenchOfOneModel) {
  BenchResult result = small_bench_result();
  result.rewritten.reset();
  result.run.autocast = "bfloat16";
  result.run.threads = 1;
  result.original.step_ns = {512'340};
  const std::string text = render_bench(result, {});
  EXPECT_NE(text.find("model      model.pt\n"), std::string::npos) << text;
  EXPECT_NE(text.find("executor eager, autocast bfloat16, seed 7, 1 CPU thread\n"),
            std::string::npos);
  EXPECT_NE(text.find("512.3 us"), std::string::npos);
  EXPECT_EQ(text.find("rewritten"), std::string::npos);
  result.original.step_ns = {12'340'000'000};
  EXPECT_NE(render_bench(result, {}).find("12.3 s"), std::string::npos);
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
  expect_golden(render_device(small_device_report(), {{}, 1}), "device.txt");
}

TEST(RenderTest, DeviceWithoutCupti) {
  const std::string text =
      render_device(build_device_report({16 << 20, 20 << 20}, 9 << 20, "no CUPTI"), {});
  EXPECT_NE(text.find("What lies outside was not recorded: no CUPTI."), std::string::npos);
  EXPECT_EQ(text.find("GPU TIME"), std::string::npos);
}

}  // namespace
}  // namespace invact::testing
