// What CUPTI records of a training step, on a GPU. Without one every test skips with a reason;
// INVACT_REQUIRE_GPU=1 turns that into a failure.
#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "analyzer/error.h"
#include "analyzer/inputs/inputs.h"
#include "analyzer/observation/device_step.h"
#include "analyzer/observation/session.h"
#include "tests/support/models.h"
#include "tests/support/no_gpu.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 512;
constexpr int64_t kColumns = 1024;

class DeviceStepGpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    settings_.device = c10::Device(c10::kCUDA, 0);
    try {
      prepare_process(settings_);
    } catch (const Error& error) {
      skip_without_gpu(error.what());
    }
  }

  /// linear, gelu, linear: a step whose kernels are known by operator.
  DeviceReport watch(bool use_cupti) {
    const std::string path =
        saved_and_loaded(make_mlp("torch.gelu(h)", kColumns, kColumns, kColumns)).record.path;
    DeviceWatch watch(settings_.device, use_cupti);
    Model model = load_model(path, settings_.device);
    const InputSpec spec = parse_input_spec("512x1024");
    const ModelInputs inputs = make_inputs(model, {spec}, 0, settings_.device);
    watch.record(model, [&] { run_step(model, inputs, settings_); });
    return watch.report(kSavedBytes);
  }

  static const OperatorTime* find(const DeviceReport& report, const std::string& op) {
    for (const OperatorTime& row : report.operators) {
      if (row.place.op == op) return &row;
    }
    return nullptr;
  }

  static constexpr int64_t kSavedBytes = 3 * kRows * kColumns * 4;
  RunSettings settings_;
};

TEST_F(DeviceStepGpuTest, StepWithKernelsByOperatorAndMemoryByLibrary) {
  const DeviceReport report = watch(/*use_cupti=*/true);
  EXPECT_EQ(report.backend, "cupti");
  EXPECT_EQ(report.dropped_count, 0);
  EXPECT_EQ(report.incomplete_count, 0);
  EXPECT_EQ(report.time.untimed_count, 0);
  for (const char* op : {"aten::linear", "aten::gelu"}) {
    const OperatorTime* const row = find(report, op);
    ASSERT_NE(row, nullptr) << op;
    EXPECT_TRUE(row->place.attributed) << op;
    EXPECT_GT(row->kernel_count, 0) << op;
    EXPECT_GT(row->forward_ns, 0) << op;
    EXPECT_GT(row->backward_ns, 0) << op;
  }
  EXPECT_FALSE(report.kernels.empty());

  const MemoryLevels& levels = report.levels;
  EXPECT_GE(levels.allocated_bytes, kSavedBytes);
  EXPECT_GE(levels.reserved_bytes, levels.allocated_bytes);
  // The first test of the process: all that the allocator holds was taken under observation.
  EXPECT_GE(levels.driver_bytes, levels.reserved_bytes);
  EXPECT_GE(levels.unexplained_bytes, 0);
  int64_t library_bytes = 0;
  bool saw_allocator = false;
  for (const LibraryRow& row : report.libraries) {
    std::printf("  %s: %lld bytes\n", row.library.c_str(), static_cast<long long>(row.bytes));
    library_bytes += row.bytes;
    saw_allocator |= row.is_allocator;
  }
  EXPECT_EQ(library_bytes, levels.driver_bytes);
  EXPECT_TRUE(saw_allocator) << "no record names libc10_cuda.so as its source";
}

TEST_F(DeviceStepGpuTest, ASecondWatchOfTheSameProcessRecordsAgain) {
  watch(/*use_cupti=*/true);
  EXPECT_GT(watch(/*use_cupti=*/true).time.forward_ns, 0);
}

TEST_F(DeviceStepGpuTest, WhoHoldsCuptiIsSaidToTheNextOne) {
  const ActivityRecorder holder;
  try {
    ActivityRecorder second;
    FAIL() << "CUPTI was claimed twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("has CUPTI already"));
  }
}

TEST_F(DeviceStepGpuTest, WithoutCuptiTheAllocatorSpeaks) {
  const DeviceReport report = watch(/*use_cupti=*/false);
  EXPECT_EQ(report.backend, "allocator");
  EXPECT_GE(report.levels.allocated_bytes, kSavedBytes);
}

}  // namespace
}  // namespace invact::testing
