// One rule per kind of duplicate, each with a near miss.
#include "analyzer/reporting/find_duplicates.h"
#include "analyzer/reporting/build_report.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <unordered_map>

#include "tests/support/records.h"

namespace invact::testing {
namespace {

std::vector<Duplicate> duplicates_of(const TraceBuilder& builder) {
  return build_report(builder.trace).duplicates;
}

/// `storage` is the one duplicate, of this kind, computed from `carriers`.
void expect_one(const TraceBuilder& builder, DuplicateKind kind, StorageId storage,
                const std::vector<StorageId>& carriers) {
  const auto duplicates = duplicates_of(builder);
  ASSERT_EQ(duplicates.size(), 1u);
  EXPECT_EQ(duplicate_kind_name(duplicates[0].kind), duplicate_kind_name(kind));
  EXPECT_EQ(duplicates[0].storage, storage);
  EXPECT_EQ(duplicates[0].carriers, carriers);
}

TEST(DuplicatesTest, InputOfAnActivationWhileItsOutputIsSaved) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), y = builder.storage(64);
  builder.save(x, builder.call("aten::gelu", {x}, y));
  EXPECT_TRUE(duplicates_of(builder).empty()) << "the output is not saved";
  builder.save(y, builder.call("aten::linear", "fc"));
  expect_one(builder, DuplicateKind::kActivation, x, {y});
  EXPECT_EQ(build_report(builder.trace).totals.duplicate_bytes, 64);
}

TEST(DuplicatesTest, AnInputThatAHeavyOperatorKeepsIsNeeded) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), y = builder.storage(64);
  builder.save(x, builder.call("aten::gelu", {x}, y));
  builder.save(x, builder.call("aten::linear", "gate"));
  builder.save(y, builder.call("aten::linear", "fc"));
  EXPECT_TRUE(duplicates_of(builder).empty());
}

TEST(DuplicatesTest, TheCopyThatAnInPlaceActivationKeeps) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), copy = builder.storage(64);
  const CallId silu = builder.call("aten::silu_", {x}, x);
  builder.call("aten::clone", {x}, copy);  // Within it, before it writes.
  builder.save(copy, silu);
  builder.save(x, builder.call("aten::linear", "fc"));
  expect_one(builder, DuplicateKind::kActivation, copy, {x});
}

TEST(DuplicatesTest, APartOfALargerStorageIsNotToldByItsActivation) {
  TraceBuilder builder;
  const StorageId gate_and_up = builder.storage(128), y = builder.storage(64);
  builder.save(gate_and_up, builder.call("aten::silu", {gate_and_up}, y));
  builder.trace.saved.back().tensor.bytes = 64;
  builder.save(y, builder.call("aten::linear", "down"));
  EXPECT_TRUE(duplicates_of(builder).empty());
}

TEST(DuplicatesTest, ActivatedGateOfAPackedProjection) {
  TraceBuilder builder;
  const StorageId gate_and_up = builder.storage(128), y = builder.storage(64);
  builder.save(gate_and_up, builder.call("aten::silu", {gate_and_up}, y));
  builder.trace.saved.back().tensor.bytes = 64;
  const CallId product = builder.call("aten::mul", {y, gate_and_up}, builder.storage(64));
  builder.save(y, product);
  builder.save(gate_and_up, product);
  expect_one(builder, DuplicateKind::kGate, y, {gate_and_up});
}

TEST(DuplicatesTest, InputOfANormWhileItsOutputIsSaved) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), y = builder.storage(64), rstd = builder.storage(4);
  const StorageId weight = builder.storage(8, StorageRole::kParameter);
  const CallId norm = builder.call("aten::layer_norm", {x, weight}, y);
  builder.save(x, norm);
  builder.save(rstd, norm);
  EXPECT_TRUE(duplicates_of(builder).empty()) << "the output is not saved";
  builder.save(y, builder.call("aten::linear", "fc"));
  expect_one(builder, DuplicateKind::kNorm, x, {y});
}

TEST(DuplicatesTest, AWrittenOutFunctionFromItsInput) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), cubed = builder.storage(64), t = builder.storage(64);
  const StorageId y = builder.storage(64);
  builder.save(x, builder.call("aten::pow", {x}, cubed));
  builder.save(t, builder.call("aten::tanh", {cubed}, t));
  builder.trace.calls.back().outputs = {t};
  const CallId product = builder.call("aten::mul", {x, t}, y);
  builder.save(x, product);
  builder.save(t, product);
  builder.save(y, builder.call("aten::linear", "fc"));  // Heavy: what it saves stays.
  expect_one(builder, DuplicateKind::kComposite, t, {x});
}

TEST(DuplicatesTest, AnotherValueWrittenInBetweenTellsNothing) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), t = builder.storage(64);
  const CallId tanh = builder.call("aten::tanh", {x}, t);
  builder.save(t, tanh);
  builder.call("aten::add_", {x}, x);
  builder.save(x, builder.call("aten::sigmoid", {x}, builder.storage(64)));
  EXPECT_TRUE(duplicates_of(builder).empty());
}

TEST(DuplicatesTest, AMaskIsABitPerElement) {
  TraceBuilder builder;
  const StorageId x = builder.storage(64), mask = builder.storage(64), y = builder.storage(64);
  builder.save(mask, builder.call("aten::dropout", {x}, y));
  expect_one(builder, DuplicateKind::kDropout, mask, {});
  EXPECT_EQ(build_report(builder.trace).totals.duplicate_bytes, 64 - 2);
}

TEST(DuplicatesTest, CastsAndCopies) {
  for (const auto& [op, kind] : {std::pair{"aten::_to_copy", DuplicateKind::kCast},
                                 std::pair{"aten::clone", DuplicateKind::kCopy}}) {
    TraceBuilder builder;
    const StorageId x = builder.storage(64), copy = builder.storage(32);
    builder.call(op, {x}, copy);
    builder.save(copy, builder.call("aten::linear", "fc"));
    EXPECT_TRUE(duplicates_of(builder).empty()) << "the original is not saved";
    builder.save(x, builder.call("aten::layer_norm", "norm"));
    expect_one(builder, kind, copy, {x});
  }
}

TEST(DuplicatesTest, ACastOfAParameterIsToldByTheParameter) {
  TraceBuilder builder;
  const StorageId weight = builder.storage(64, StorageRole::kParameter);
  const StorageId low = builder.storage(32);
  builder.call("aten::_to_copy", {weight}, low);
  builder.save(low, builder.call("aten::linear", "fc"));
  expect_one(builder, DuplicateKind::kCast, low, {});
}

TEST(DuplicatesTest, ResidualSumsAreNone) {
  TraceBuilder builder;
  const StorageId a = builder.storage(64), b = builder.storage(64), sum = builder.storage(64);
  builder.save(a, builder.call("aten::linear", "fc"));
  builder.save(b, builder.call("aten::linear", "fc"));
  builder.call("aten::add", {a, b}, sum);
  builder.save(sum, builder.call("aten::layer_norm", "norm"));
  EXPECT_TRUE(duplicates_of(builder).empty());
}

/// Whatever the flow of data: no storage twice, every one a saved one, and each computed from
/// storages that do not need it themselves.
TEST(DuplicatesTest, DuplicatesAreToldByWhatIsKept) {
  const std::vector<std::string> ops = {"aten::gelu",       "aten::mul",     "aten::tanh",
                                        "aten::layer_norm", "aten::add",     "aten::clone",
                                        "aten::add_",       "aten::_to_copy"};
  int64_t found = 0;
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](size_t limit) { return random() % limit; };
    TraceBuilder builder;
    std::vector<StorageId> values = {builder.storage(64)};
    for (int i = 0; i < 25; ++i) {
      const std::string& op = ops[below(ops.size())];
      const StorageId a = values[below(values.size())], b = values[below(values.size())];
      const StorageId y = op.ends_with('_') ? a : builder.storage(64);
      const CallId call = builder.call(op, {a, b}, y);
      values.push_back(y);
      if (below(2)) builder.save(a, call);
      if (below(3) == 0) builder.save(y, call);
    }
    const Report report = build_report(builder.trace);
    std::unordered_map<int64_t, std::vector<StorageId>> computed_from;
    std::set<StorageId> saved;
    for (const StorageRow& row : report.storages) saved.insert(row.id);
    for (const Duplicate& duplicate : report.duplicates) {
      EXPECT_TRUE(saved.contains(duplicate.storage)) << "seed " << seed;
      EXPECT_TRUE(computed_from.emplace(duplicate.storage.value, duplicate.carriers).second);
      for (const StorageId kept : duplicate.carriers) EXPECT_TRUE(saved.contains(kept));
      ++found;
    }
    // What is left determines everything: remove, again and again, what follows from what is known.
    std::set<StorageId> known;
    for (const StorageId id : saved) {
      if (!computed_from.contains(id.value)) known.insert(id);
    }
    for (bool progress = true; progress;) {
      progress = false;
      for (const auto& [id, kept] : computed_from) {
        if (known.contains({id})) continue;
        progress |= std::all_of(kept.begin(), kept.end(),
                                [&](StorageId one) { return known.contains(one); }) &&
                    known.insert({id}).second;
      }
    }
    EXPECT_EQ(known, saved) << "seed " << seed;
    EXPECT_LE(report.totals.duplicate_bytes, report.totals.saved_bytes);
  }
  EXPECT_GT(found, 500);
}

}  // namespace
}  // namespace invact::testing
