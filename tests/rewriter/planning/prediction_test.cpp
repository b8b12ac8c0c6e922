#include "rewriter/planning/prediction.h"
#include "analyzer/reporting/build_report.h"

#include <gtest/gtest.h>

namespace invact::testing {
namespace {

/// x -> gelu -> y -> linear; 1000 bytes each, 250 elements.
Report gelu_between(bool input_kept_elsewhere, bool output_kept) {
  Trace trace;
  for (int64_t id = 0; id < 2; ++id)
    trace.storages.push_back({{id}, 1000, StorageRole::kActivation});
  trace.calls.resize(3);
  for (int64_t id = 0; id < 3; ++id) trace.calls[id].id = {id};
  trace.calls[0].op = "aten::gelu";
  trace.calls[1].op = "aten::linear";
  trace.calls[2].op = "aten::mul";
  trace.saved.push_back({{0}, {0}, {}});
  if (output_kept) trace.saved.push_back({{1}, {1}, {}});
  if (input_kept_elsewhere) trace.saved.push_back({{0}, {2}, {}});
  return build_report(trace);
}

constexpr int64_t kBranchBytes = 32;  // ceil(250 / 8)

/// The gelu from its output.
const Execution kGelu{{{0}}, StorageId{1}, kBranchBytes};

TEST(PredictionTest, NothingReplacedIsWhatIsSaved) {
  const Report report = gelu_between(false, true);
  EXPECT_EQ(Prediction(report).saved_bytes(), 2000);
}

TEST(PredictionTest, InputGoesBranchBitsCome) {
  const Report report = gelu_between(false, true);
  Prediction prediction(report);
  EXPECT_EQ(prediction.delta({kGelu}), kBranchBytes - 1000);
  EXPECT_EQ(prediction.saved_bytes(), 2000);
  prediction.replace(kGelu);
  EXPECT_EQ(prediction.saved_bytes(), 1000 + kBranchBytes);
  prediction.put_back(kGelu);
  EXPECT_EQ(prediction.saved_bytes(), 2000);
}

TEST(PredictionTest, OutputThatNoOperatorSavedComesInstead) {
  const Report report = gelu_between(false, false);
  EXPECT_EQ(Prediction(report).delta({kGelu}), kBranchBytes);
}

TEST(PredictionTest, InputSavedElsewhereStays) {
  const Report report = gelu_between(true, true);
  EXPECT_EQ(Prediction(report).delta({kGelu}), kBranchBytes);
}

TEST(PredictionTest, WhatSavesBytesOfItsOwnAloneSavesNoStorage) {
  const Report report = gelu_between(false, true);
  EXPECT_EQ(Prediction(report).delta({Execution{{{0}}, std::nullopt, 32}}), 32 - 1000);
}

TEST(PredictionTest, SeveralCallsGoTogether) {
  const Report report = gelu_between(true, true);
  EXPECT_EQ(Prediction(report).delta({Execution{{{0}, {2}}, StorageId{1}, 0}}), -1000);
}

TEST(PredictionTest, OtherSavers) {
  const Report report = gelu_between(true, true);
  const ObservedSavers savers(report);
  EXPECT_EQ(savers.other_savers({0}, {{0}}), (std::vector<CallId>{{2}}));
  EXPECT_EQ(savers.saved_by({0}), (std::vector<StorageId>{{0}}));
  EXPECT_TRUE(savers.saved_by({7}).empty());
}

}  // namespace
}  // namespace invact::testing
