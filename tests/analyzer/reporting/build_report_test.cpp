#include "analyzer/reporting/build_report.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/records.h"

namespace invact::testing {
namespace {

TEST(ReportTest, CountsStoragesNotTensors) {
  TraceBuilder builder;
  const StorageId qkv = builder.storage(300);
  const CallId attention = builder.call("aten::scaled_dot_product_attention", "attn");
  for (int i = 0; i < 3; ++i) builder.save(qkv, attention);
  const Report report = build_report(builder.trace);
  EXPECT_EQ(report.totals.saved_bytes, 300);
  EXPECT_EQ(report.totals.saved_storages, 1);
  EXPECT_EQ(report.totals.saved_tensors, 3);
}

TEST(ReportTest, LeavesParametersAndBuffersOut) {
  TraceBuilder builder;
  const CallId linear = builder.call("aten::linear", "fc");
  builder.save(builder.storage(100, StorageRole::kParameter), linear);
  builder.save(builder.storage(10, StorageRole::kBuffer), linear);
  builder.save(builder.storage(1), linear);
  EXPECT_EQ(build_report(builder.trace).totals.saved_bytes, 1);
}

TEST(ReportTest, AStorageBelongsToItsFirstSaver) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64);
  builder.save(x, builder.call("aten::mul", "scale"));
  builder.save(x, builder.call("aten::linear", "fc"));
  const Report report = build_report(builder.trace);
  ASSERT_EQ(report.modules.size(), 1u);
  EXPECT_EQ(report.modules[0].path, "scale");
  ASSERT_EQ(report.storages[0].savers.size(), 2u);
  EXPECT_EQ(report.call(report.storages[0].savers[1]).module_path, "fc");
}

TEST(ReportTest, FloorIsWhatHeavyOperatorsKeep) {
  TraceBuilder builder;
  const StorageId shared = builder.storage(64);
  builder.save(shared, builder.call("aten::layer_norm", "norm"));
  builder.save(shared, builder.call("aten::linear", "fc"));
  builder.save(builder.storage(5), builder.call("aten::layer_norm", "norm"));
  builder.save(builder.storage(3), builder.call("mylib::attention", "custom"));
  builder.save(builder.storage(2), builder.call("aten::silu_", "act"));
  EXPECT_EQ(build_report(builder.trace).totals.floor_bytes, 67);
}

TEST(ReportTest, UnattributedBytesAreCounted) {
  TraceBuilder builder;
  const CallId forked = builder.call("aten::linear", "");
  builder.trace.calls[forked.value].attributed = false;
  builder.save(builder.storage(9), forked);
  const Report report = build_report(builder.trace);
  EXPECT_EQ(report.totals.unattributed_bytes, 9);
  EXPECT_TRUE(report.modules.empty());
}

TEST(ReportTest, ExecutorsAreComparedByWhatTheirStoragesLookLike) {
  const auto report_of = [](const std::vector<std::pair<std::string, std::string>>& kept) {
    TraceBuilder builder;
    for (const auto& [op, dtype] : kept) {
      builder.save(builder.storage(64), builder.call(op, "net"));
      builder.trace.saved.back().tensor.dtype = dtype;
    }
    return build_report(builder.trace);
  };
  const Report eager = report_of({{"aten::linear", "float32"}, {"aten::gelu", "float32"}});
  const Report profiling =
      report_of({{"(unknown)", "float32"}, {"(unknown)", "bool"}, {"(unknown)", "bool"}});
  const ExecutorComparison comparison = compare_executors(eager, profiling);
  EXPECT_EQ(comparison.eager.saved_bytes, 128);
  EXPECT_EQ(comparison.profiling.saved_bytes, 192);
  ASSERT_EQ(comparison.only_eager.size(), 1u);
  EXPECT_EQ(comparison.only_eager[0].bytes, 64);
  ASSERT_EQ(comparison.only_profiling.size(), 1u);
  EXPECT_EQ(comparison.only_profiling[0].dtype, "bool");
  EXPECT_EQ(comparison.only_profiling[0].count, 2);
  EXPECT_EQ(comparison.only_profiling[0].bytes, 128);
}

TEST(ReportTest, NothingKeptIsNoted) {
  const Report report = build_report(Trace{});
  EXPECT_EQ(report.totals.saved_bytes, 0);
  ASSERT_EQ(report.notes.size(), 1u);
}

TEST(ReportTest, RowsPlusUnattributedEqualTheTotal) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](int64_t limit) {
      return static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
    };
    TraceBuilder builder;
    for (int i = 0; i < 20; ++i) {
      builder.storage(below(1000), static_cast<StorageRole>(below(3)));
    }
    for (int i = 0; i < 10; ++i) {
      const CallId call =
          builder.call(below(2) ? "aten::gelu" : "aten::linear", std::to_string(below(4)));
      builder.trace.calls[call.value].attributed = below(5) > 0;
    }
    for (int i = 0; i < 40; ++i) builder.save({below(20)}, {below(10)});
    const Report report = build_report(builder.trace);
    int64_t by_module = report.totals.unattributed_bytes, by_storage = 0;
    for (const ModuleRow& row : report.modules) by_module += row.saved_bytes;
    for (const StorageRow& row : report.storages) by_storage += row.bytes;
    EXPECT_EQ(by_module, report.totals.saved_bytes) << "seed " << seed;
    EXPECT_EQ(by_storage, report.totals.saved_bytes) << "seed " << seed;
    EXPECT_LE(report.totals.floor_bytes, report.totals.saved_bytes) << "seed " << seed;
  }
}

}  // namespace
}  // namespace invact::testing
