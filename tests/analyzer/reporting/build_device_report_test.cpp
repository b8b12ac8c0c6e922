// Device reports from activity records made by hand, and the `cuda` member of the document. The
// golden file is checked against the schema by the test zoo.schema.cuda.
#include "analyzer/reporting/build_device_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/reporting/driver_peak.h"
#include "analyzer/reporting/json.h"
#include "tests/support/golden.h"
#include "tests/support/records.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* kAllocator = "/opt/torch/lib/libc10_cuda.so";
constexpr const char* kNccl = "/opt/torch/lib/libnccl.so.2";

MemoryOperation allocation(uint64_t address, int64_t bytes, int64_t time_ns, const char* library,
                           MemoryPlace place = MemoryPlace::kDevice) {
  MemoryOperation operation;
  operation.address = address;
  operation.bytes = bytes;
  operation.time_ns = time_ns;
  operation.library = library;
  operation.place = place;
  return operation;
}

MemoryOperation release(uint64_t address, int64_t time_ns) {
  MemoryOperation operation = allocation(address, 0, time_ns, "");
  operation.is_release = true;
  return operation;
}

MemoryOperation from_pool(int64_t bytes, int64_t reserved_bytes, int64_t time_ns) {
  MemoryOperation operation = allocation(0xf000, bytes, time_ns, kNccl);
  operation.from_pool = true;
  operation.pool_address = 0xb000;
  operation.pool_reserved_bytes = reserved_bytes;
  return operation;
}

KernelRun kernel(const std::string& name, int64_t start_ns, int64_t end_ns, ExternalId id) {
  KernelRun run;
  run.name = name;
  run.span.start_ns = start_ns;
  run.span.end_ns = end_ns;
  run.span.external_id = id;
  return run;
}

OperatorCall call(int64_t id, const std::string& module, const std::string& op) {
  OperatorCall result;
  result.id = {id};
  result.module_path = module;
  result.op = op;
  result.attributed = true;
  return result;
}

TEST(DriverPeakTest, ReplaysInTheOrderOfTimeAndNamesWhoHeldThePeak) {
  DeviceActivity activity;
  activity.memory = {allocation(3, 50, 30, kNccl), allocation(1, 100, 10, kAllocator),
                     release(1, 40), allocation(2, 10, 20, kAllocator)};
  const DriverPeak peak = find_driver_peak(activity);
  EXPECT_EQ(peak.device_bytes, 160);
  EXPECT_THAT(peak.libraries, ElementsAre(LibraryRow{"libc10_cuda.so", true, 110, 2},
                                          LibraryRow{"libnccl.so.2", false, 50, 1}));
}

TEST(DriverPeakTest, AnAddressIsTakenAgainAfterItsRelease) {
  DeviceActivity activity;
  activity.memory = {allocation(1, 100, 1, kAllocator), release(1, 2),
                     allocation(1, 60, 3, kAllocator)};
  EXPECT_EQ(find_driver_peak(activity).device_bytes, 100);
}

TEST(DriverPeakTest, AReleaseOfWhatWasNeverSeenFreesNothing) {
  DeviceActivity activity;
  activity.memory = {release(7, 1), allocation(1, 100, 2, kAllocator)};
  EXPECT_EQ(find_driver_peak(activity).device_bytes, 100);
}

TEST(DriverPeakTest, TheSameAddressOnTwoDevicesIsTwoAllocations) {
  DeviceActivity activity;
  activity.memory = {allocation(1, 100, 1, kAllocator), allocation(1, 100, 2, kAllocator)};
  activity.memory[1].device = 1;
  EXPECT_EQ(find_driver_peak(activity).device_bytes, 200);
}

TEST(DriverPeakTest, HostMemoryIsNoDeviceMemory) {
  DeviceActivity activity;
  activity.memory = {allocation(1, 100, 1, kAllocator, MemoryPlace::kPinnedHost),
                     allocation(2, 70, 2, kAllocator, MemoryPlace::kPageableHost),
                     allocation(3, 5, 3, kAllocator, MemoryPlace::kManaged)};
  const DriverPeak peak = find_driver_peak(activity);
  EXPECT_EQ(peak.pinned_host_bytes, 100);
  EXPECT_EQ(peak.device_bytes, 5);
}

TEST(DriverPeakTest, APoolCountsWithWhatItReserves) {
  DeviceActivity activity;
  activity.memory = {from_pool(10, 1000, 1), from_pool(20, 1000, 2), from_pool(900, 2000, 3)};
  activity.pools = {{PoolChange::kCreated, 0xb000, 0, 0, 0},
                    {PoolChange::kTrimmed, 0xb000, 500, 4, 0}};
  const DriverPeak peak = find_driver_peak(activity);
  EXPECT_EQ(peak.device_bytes, 2000);
  EXPECT_THAT(peak.libraries, ElementsAre(LibraryRow{"libnccl.so.2", false, 2000, 1}));
}

TEST(DriverPeakTest, ATrimmedAndADestroyedPoolGiveBack) {
  DeviceActivity activity;
  activity.memory = {from_pool(10, 1000, 1), allocation(1, 600, 3, kAllocator)};
  activity.pools = {{PoolChange::kTrimmed, 0xb000, 500, 2, 0}};
  EXPECT_EQ(find_driver_peak(activity).device_bytes, 1100);
  activity.pools = {{PoolChange::kDestroyed, 0xb000, 1000, 2, 0}};
  EXPECT_EQ(find_driver_peak(activity).device_bytes, 1000);
}

TEST(DriverPeakTest, TheRuntimeThatPassesARequestOnIsNotWhoAsked) {
  DeviceActivity activity;
  activity.memory = {allocation(1, 1, 1, "/usr/lib/libcudart.so.13"),
                     allocation(2, 2, 2, "/usr/lib/libcuda.so.1"), allocation(3, 4, 3, "")};
  EXPECT_THAT(find_driver_peak(activity).libraries, ElementsAre(LibraryRow{"", false, 7, 3}));
}

TEST(DeviceReportTest, LevelsAddUpFromSavedBytesToTheDriver) {
  DeviceActivity activity;
  activity.memory = {allocation(1, 1000, 1, kAllocator), allocation(2, 300, 2, kNccl),
                     allocation(3, 40, 3, "")};
  const MemoryLevels levels = build_device_report(activity, {}, {700, 1000}, 450).levels;
  EXPECT_EQ(levels.other_allocated_bytes, 250);
  EXPECT_EQ(levels.cached_bytes, 300);
  EXPECT_EQ(levels.outside_bytes, 300);
  EXPECT_EQ(levels.unexplained_bytes, 40);
  EXPECT_EQ(levels.saved_bytes + levels.other_allocated_bytes + levels.cached_bytes +
                levels.outside_bytes + levels.unexplained_bytes,
            levels.driver_bytes);
}

TEST(DeviceReportTest, AllocatorMemoryThatTheDriverDoesNotReportIsVisible) {
  // Expandable segments: the allocator maps memory that no record speaks of.
  const MemoryLevels levels = build_device_report(DeviceActivity{}, {}, {700, 1000}, 450).levels;
  EXPECT_EQ(levels.driver_bytes, 0);
  EXPECT_EQ(levels.unexplained_bytes, -1000);
}

TEST(DeviceReportTest, ForwardAndBackwardTimeByOperator) {
  const std::vector<OperatorCall> calls = {call(0, "a", "aten::linear"),
                                           call(1, "a", "aten::gelu")};
  DeviceActivity activity;
  activity.kernels = {kernel("gemm", 10, 30, external_id({0}, Pass::kForward)),
                      kernel("gelu", 30, 35, external_id({1}, Pass::kForward)),
                      kernel("gemm", 50, 90, external_id({0}, Pass::kBackward)),
                      kernel("gemm", 90, 95, external_id({0}, Pass::kBackward)),
                      kernel("add", 95, 98, 0)};
  const DeviceReport report = build_device_report(activity, calls, {}, 0);
  ASSERT_EQ(report.operators.size(), 2u);
  EXPECT_EQ(report.operators[0], (OperatorTime{calls[0], 1, 3, 20, 45}));
  EXPECT_EQ(report.operators[1], (OperatorTime{calls[1], 1, 1, 5, 0}));
  EXPECT_EQ(report.time, (DeviceTime{73, 25, 45, 3, 0}));
  EXPECT_THAT(report.kernels, ElementsAre(KernelRow{"gemm", 3, 65}, KernelRow{"gelu", 1, 5},
                                          KernelRow{"add", 1, 3}));
}

TEST(DeviceReportTest, RowsOfTimeAddUpToTheTotal) {
  const std::vector<OperatorCall> calls = {call(0, "a", "aten::linear"),
                                           call(1, "b", "aten::gelu")};
  DeviceActivity activity;
  for (int64_t i = 0; i < 50; ++i) {
    activity.kernels.push_back(kernel("k", 100 * i + 1, 100 * i + 1 + i % 7, i % 6));
    activity.copies.push_back({CopyKind::kOther, 1, activity.kernels.back().span});
    activity.sets.push_back({1, activity.kernels.back().span});
  }
  const DeviceReport report = build_device_report(activity, calls, {}, 0);
  int64_t rows_ns = report.time.unattributed_ns;
  for (const OperatorTime& row : report.operators) rows_ns += row.forward_ns + row.backward_ns;
  EXPECT_EQ(rows_ns, report.time.total_ns);
  EXPECT_EQ(report.time.forward_ns + report.time.backward_ns + report.time.unattributed_ns,
            report.time.total_ns);
  int64_t work_ns = 0;
  for (const KernelRow& row : report.kernels) work_ns += row.total_ns;
  for (const TransferRow& row : report.transfers) work_ns += row.total_ns;
  EXPECT_EQ(work_ns, report.time.total_ns);
}

TEST(DeviceReportTest, CallsOfOnePlaceAreOneRowAndPlacesOfOneModuleAreNot) {
  std::vector<OperatorCall> calls = {call(0, "a", "aten::gelu"), call(1, "a", "aten::gelu"),
                                     call(2, "a", "aten::gelu")};
  calls[2].frames = {{"code.py", 5, 9}};
  DeviceActivity activity;
  for (int64_t i = 0; i < 3; ++i) {
    activity.kernels.push_back(kernel("k", 1, 2, external_id({i}, Pass::kForward)));
  }
  const DeviceReport report = build_device_report(activity, calls, {}, 0);
  ASSERT_EQ(report.operators.size(), 2u);
  EXPECT_EQ(report.operators[0].call_count, 2);
  EXPECT_EQ(report.operators[1].call_count, 1);
}

TEST(DeviceReportTest, ItsTimesTakeThePlaceOfTheHosts) {
  std::vector<OperatorCall> calls = {call(0, "a", "aten::gelu"), call(1, "a", "aten::gelu"),
                                     call(2, "b", "aten::view")};
  for (OperatorCall& each : calls) each.forward_ns = 1000;
  DeviceActivity activity;
  use_device_times(build_device_report(activity, calls, {}, 0), calls);
  EXPECT_EQ(calls[0].forward_ns, 1000);
  activity.kernels = {kernel("k", 10, 40, external_id({0}, Pass::kForward)),
                      kernel("k", 40, 90, external_id({1}, Pass::kForward)),
                      kernel("k", 90, 99, external_id({1}, Pass::kBackward))};
  use_device_times(build_device_report(activity, calls, {}, 0), calls);
  EXPECT_EQ(calls[0].forward_ns, 40);
  EXPECT_EQ(calls[1].forward_ns, 40);
  EXPECT_EQ(calls[2].forward_ns, 0);
}

TEST(DeviceReportTest, AnIdOfNoCallBelongsToNobody) {
  DeviceActivity activity;
  activity.kernels = {kernel("k", 1, 3, external_id({5}, Pass::kForward))};
  const DeviceReport report = build_device_report(activity, {call(0, "a", "aten::gelu")}, {}, 0);
  EXPECT_TRUE(report.operators.empty());
  EXPECT_EQ(report.time.unattributed_ns, 2);
}

TEST(DeviceReportTest, WorkWithoutTimesIsCountedApart) {
  DeviceActivity activity;
  activity.kernels = {kernel("k", 0, 0, 0), kernel("k", 5, 0, 0), kernel("k", 5, 7, 0)};
  const DeviceReport report = build_device_report(activity, {}, {}, 0);
  EXPECT_EQ(report.time.untimed_count, 2);
  EXPECT_EQ(report.time.total_ns, 2);
  EXPECT_THAT(report.kernels, ElementsAre(KernelRow{"k", 3, 2}));
}

TEST(DeviceReportTest, TransfersByKindAndDemangledNames) {
  DeviceActivity activity;
  activity.kernels = {kernel("_Z4gelui", 1, 2, 0)};
  activity.sets = {{64, {1, 2, 0, 0, 0, 0}}};
  activity.copies = {{CopyKind::kDeviceToHost, 8, {1, 3, 0, 0, 0, 0}},
                     {CopyKind::kHostToDevice, 16, {1, 3, 0, 0, 0, 0}},
                     {CopyKind::kHostToDevice, 32, {3, 4, 0, 0, 0, 0}}};
  const DeviceReport report = build_device_report(activity, {}, {}, 0);
  EXPECT_THAT(report.transfers,
              ElementsAre(TransferRow{"host_to_device", 2, 48, 3},
                          TransferRow{"device_to_host", 1, 8, 2}, TransferRow{"set", 1, 64, 1}));
  EXPECT_EQ(report.kernels.at(0).name, "gelu(int)");
}

TEST(DeviceReportTest, LostRecordsAreShown) {
  DeviceActivity activity;
  activity.dropped_count = 3;
  activity.unknown_count = 2;
  activity.incomplete_count = 1;
  const DeviceReport report = build_device_report(activity, {}, {}, 0);
  EXPECT_EQ(report.dropped_count, 3);
  EXPECT_EQ(report.unknown_count, 2);
  EXPECT_EQ(report.incomplete_count, 1);
}

TEST(DeviceReportTest, WithoutCuptiTheReportSaysWhoSpoke) {
  const DeviceReport report = build_device_report({700, 1000}, 450, "no CUPTI");
  EXPECT_EQ(report.backend, "allocator");
  EXPECT_EQ(report.note, "no CUPTI");
  EXPECT_EQ(report.levels.cached_bytes, 300);
}

TEST(ExternalIdTest, IsNeverZeroAndTellsThePassesApart) {
  EXPECT_EQ(external_id({0}, Pass::kForward), 1u);
  EXPECT_EQ(external_id({0}, Pass::kBackward), 2u);
  EXPECT_EQ(external_id({1}, Pass::kForward), 3u);
}

TEST(DeviceJsonTest, WhatCuptiRecorded) {
  expect_golden(to_json(small_device_report()).dump(2) + "\n", "cuda.json");
}

TEST(DeviceJsonTest, WithoutCuptiNoNumberOfTheDriverIsWritten) {
  const auto json = to_json(build_device_report({16, 20}, 9, "no CUPTI"));
  EXPECT_EQ(
      json.dump(),
      R"({"backend":"allocator","note":"no CUPTI","levels":{"saved_bytes":9,)"
      R"("other_allocated_bytes":7,"allocated_bytes":16,"cached_bytes":4,"reserved_bytes":20}})");
}

}  // namespace
}  // namespace invact::testing
