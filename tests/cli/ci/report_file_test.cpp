// Documents read back: what old and new ones say, and what is refused.
#include "cli/ci/report_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "analyzer/error.h"
#include "tests/cli/ci/synthetic_report.h"

namespace invact::testing {
namespace {

using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// The message with which the document is refused; "" where it is read.
std::string refusal(const ordered_json& document) {
  try {
    report_from_json(document, "old.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

std::string refusal_of_file(const std::string& path) {
  try {
    read_report_file(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

std::string written(const std::string& text) {
  const std::string path = ::testing::TempDir() + "invact_report_file_test.json";
  std::ofstream(path) << text;
  return path;
}

TEST(ReportFileTest, WhatWasWrittenIsReadBack) {
  const ReportFile report = report_from_json(small_document(), "old.json");
  EXPECT_EQ(report.name, "old.json");
  EXPECT_EQ(report.tool_version, "0.1.0");
  EXPECT_EQ(report.model_path, "model.pt");
  EXPECT_EQ(report.setup, (RunSetup{{"x: float32 8x16, randn", "p: float32 scalar, "},
                                    "cuda",
                                    "train",
                                    "eager",
                                    "off",
                                    "2.11.0"}));
  EXPECT_EQ(report.totals.saved_bytes, 9 << 20);
  EXPECT_EQ(report.totals.duplicate_bytes, 3 << 20);
  EXPECT_FALSE(report.totals.peak_bytes.has_value());
  ASSERT_EQ(report.storages.size(), 3u);
  EXPECT_EQ(report.storages[0].place, (Place{"", "aten::linear", {}}));
  EXPECT_EQ(report.storages[1].place, (Place{"act", "aten::gelu", {"/home/me/net.py", 1}}));
  EXPECT_EQ(module_text(report.storages[0].place), "(top)");
  EXPECT_EQ(module_text(report.storages[2].place), "(unattributed)");
  ASSERT_EQ(report.duplicates.size(), 1u);
  EXPECT_EQ(report.duplicates[0].kind, "activation");
  EXPECT_THAT(report.duplicates[0].advice, HasSubstr("invact rewrite"));
}

TEST(ReportFileTest, ReadsSchemaOneDotZero) {
  // What 1.1 added is missing: kept_storages, advice, timeline; unknown fields are ignored.
  ordered_json document = small_document();
  document["schema_version"] = "1.0";
  document.erase("timeline");
  for (auto& duplicate : document["duplicates"]) {
    duplicate.erase("advice");
    duplicate.erase("kept_storages");
    duplicate["kept_storage"] = 2;
  }
  ReportFile expected = report_from_json(small_document(), "old.json");
  expected.duplicates.at(0).advice = "";
  EXPECT_EQ(report_from_json(document, "old.json"), expected);
  document.erase("duplicates");  // 1.0 did not require them
  EXPECT_EQ(refusal(document), "");
}

TEST(ReportFileTest, ReadsThePeakAndAutocastWhereTheyAre) {
  ordered_json document = small_document();
  document["timeline"] = {{"peak", {{"bytes", 77}}}};
  document["run"]["autocast"] = "bfloat16";
  document["schema_version"] = "1.7";
  const ReportFile report = report_from_json(document, "new.json");
  EXPECT_EQ(report.totals.peak_bytes, 77);
  EXPECT_EQ(report.setup.autocast, "bfloat16");
  document["run"]["autocast"] = nullptr;
  EXPECT_EQ(report_from_json(document, "new.json").setup.autocast, "off");
}

TEST(ReportFileTest, AnotherMajorVersionIsRefusedByName) {
  for (const char* version : {"2.0", "0.9", "10.1"}) {
    ordered_json document = small_document();
    document["schema_version"] = version;
    EXPECT_THAT(refusal(document),
                AllOf(HasSubstr("old.json"), HasSubstr(version), HasSubstr("reads 1.x")));
  }
  for (const char* version : {"", "one", "1", ".1", "99999999999999999999.0"}) {
    ordered_json document = small_document();
    document["schema_version"] = version;
    EXPECT_THAT(refusal(document), HasSubstr("its schema_version is '")) << version;
  }
}

TEST(ReportFileTest, EveryMissingOrWrongFieldIsNamed) {
  for (const char* key :
       {"schema_version", "tool", "environment", "model", "inputs", "run", "totals", "storages"}) {
    ordered_json document = small_document();
    document.erase(key);
    EXPECT_THAT(refusal(document), HasSubstr(fmt::format("`{}` is missing", key)));
  }
  for (const char* key : {"schema_version", "model", "inputs", "run", "totals", "storages"}) {
    ordered_json document = small_document();
    document[key] = 3.5;
    EXPECT_THAT(refusal(document), HasSubstr("'old.json' is no report of invact analyze")) << key;
  }
  ordered_json document = small_document();
  document["storages"][1]["bytes"] = -1;
  EXPECT_THAT(refusal(document), HasSubstr("`storages[1].bytes` is no number of bytes"));
  document["storages"][1]["bytes"] = "many";
  EXPECT_THAT(refusal(document), HasSubstr("`storages[1].bytes` is no number of bytes"));
  document["storages"][1].erase("op");
  document["storages"][1]["bytes"] = 1;
  EXPECT_THAT(refusal(document), HasSubstr("`storages[1].op` is missing"));
  EXPECT_THAT(refusal(ordered_json::array()), HasSubstr("`schema_version` is missing"));
}

TEST(ReportFileTest, RowsThatDoNotAddUpAreRefused) {
  ordered_json document = small_document();
  document["storages"].erase(1);
  EXPECT_THAT(refusal(document), HasSubstr("3145728 bytes less than totals.saved_bytes"));
  document = small_document();
  document["storages"][1]["bytes"] = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(refusal(document), HasSubstr("more than totals.saved_bytes"));
}

TEST(ReportFileTest, FilesThatAreNoReports) {
  EXPECT_THAT(refusal_of_file("/nonexistent/old.json"), HasSubstr("No such file"));
  EXPECT_THAT(refusal_of_file(::testing::TempDir()), HasSubstr("is a folder"));
  EXPECT_THAT(refusal_of_file(written("")), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal_of_file(written("{\"schema_version\": ")), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal_of_file(written("PK\x03\x04")), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal_of_file(written("{\"schema_version\": \"1.1\"}")),
              HasSubstr("`tool` is missing"));
  EXPECT_EQ(refusal_of_file(written(small_document().dump())), "");
}

TEST(ReportFileTest, PrefixesAreStripped) {
  ReportFile report = report_from_json(small_document(), "old.json");
  report.model_path = "/home/me/out/model.pt";
  strip_source_prefix("/home/me", report);
  EXPECT_EQ(report.storages[1].place.source, (SourceLocation{"net.py", 1}));
  EXPECT_EQ(report.duplicates[0].place.source, (SourceLocation{"net.py", 1}));
  EXPECT_EQ(report.model_path, "out/model.pt");
  strip_source_prefix("", report);
  EXPECT_EQ(report.model_path, "out/model.pt");
}

}  // namespace
}  // namespace invact::testing
