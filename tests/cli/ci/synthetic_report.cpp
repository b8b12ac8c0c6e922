#include "tests/cli/ci/synthetic_report.h"

#include "analyzer/reporting/build_report.h"
#include "analyzer/reporting/json.h"

namespace invact::testing {
namespace {

constexpr int64_t kMiB = 1 << 20;

Trace small_trace() {
  Trace trace;
  trace.model = {"model.pt", std::string(64, 'a'), kMiB, 12, kMiB, true};
  trace.run = {"cuda:1", "train", "eager", "", 7, 2};
  trace.inputs = {{"x", {"float32", {8, 16}, 128, 512}, "randn"}, {"p", {"float32", {}, 1, 4}, ""}};
  trace.modules = {{"", "__torch__.Net"}, {"act", "__torch__.torch.nn.GELU"}};
  const char* const ops[] = {"aten::linear", "aten::gelu", "aten::linear"};
  for (int64_t id = 0; id < 3; ++id) {
    trace.storages.push_back({{id}, 3 * kMiB, StorageRole::kActivation});
    OperatorCall& call = trace.calls.emplace_back();
    call.id = {id};
    call.op = ops[id];
    call.module_path = id == 1 ? "act" : "";
    call.attributed = id != 2;
    call.source = {"/home/me/net.py", id == 0 ? 0 : id};
    trace.saved.push_back({{id}, {id}, {"float32", {8, 98304}, 786432, 3 * kMiB}});
  }
  trace.calls[1].output = StorageId{2};
  trace.calls[1].outputs = {StorageId{2}};
  return trace;
}

}  // namespace

void add_storage(ReportFile& report, const std::string& module, const std::string& op,
                 int64_t bytes) {
  SavedStorage storage;
  storage.id = static_cast<int64_t>(report.storages.size());
  storage.bytes = bytes;
  storage.tensor = "float32 8x32";
  storage.place = {module, op, {"/src/net.py", 10 + storage.id}};
  report.storages.push_back(std::move(storage));
  report.totals.saved_bytes += bytes;
}

ReportFile small_report(const std::string& name) {
  ReportFile report;
  report.name = name;
  report.tool_version = "0.1.0";
  report.model_path = "models/a b.pt";
  report.model_sha256 = std::string(64, 'a');
  report.setup = {{"x: float32 8x16, randn"}, "cpu", "train", "eager", "off", "2.11.0"};
  add_storage(report, "", "aten::linear", 2 * kMiB);
  add_storage(report, "block.act", "aten::gelu", 3 * kMiB);
  add_storage(report, "", "aten::linear", 3 * kMiB);
  add_storage(report, "head", "aten::mul", kMiB);
  report.totals.duplicate_bytes = 3 * kMiB;
  report.totals.reclaimable_bytes = 3 * kMiB - 98304;
  report.totals.floor_bytes = 5 * kMiB;
  report.duplicates = {
      {"activation", 3 * kMiB, report.storages[1].place, "`invact rewrite` keeps the output."}};
  return report;
}

ReportFile changed_report() {
  ReportFile report = small_report("this run");
  report.storages[0].bytes += 512;       // grew
  report.storages[2].bytes -= kMiB / 2;  // shrank
  report.storages.pop_back();            // gone
  report.totals.saved_bytes += 512 - kMiB / 2 - kMiB;
  add_storage(report, "extra|one", "aten::gelu", 4 * kMiB);
  report.totals.duplicate_bytes += 4 * kMiB;
  report.totals.peak_bytes = 64 * kMiB;
  Place place = report.storages.back().place;
  place.source.file = "src/50%, a:b|c.py";
  report.duplicates.insert(report.duplicates.begin(),
                           {"activation", 4 * kMiB, place, "`invact rewrite` keeps the output."});
  Place unknown{std::nullopt, "aten::mul", {}};
  report.duplicates.push_back({"gate", 512, unknown, "Compute <it> again & again."});
  return report;
}

CiResult ci_result() {
  CiResult result;
  result.report = changed_report();
  result.diff = diff_reports(small_report("old.json"), result.report, false);
  GateLimits limits;
  limits.max_saved = Size{64 * kMiB, "64MiB"};
  limits.max_duplicate = Size{1'000'000, "1MB"};
  limits.max_peak = Size{64 * kMiB, "64MiB"};
  limits.max_growth = parse_growth_limit("--max-growth", "5%");
  result.gates = check_gates(limits, result.report, &*result.diff);
  return result;
}

nlohmann::ordered_json small_document() {
  Environment environment;
  environment.invact_version = "0.1.0";
  environment.libtorch_version = "2.11.0";
  auto document = document_head(environment);
  document.update(to_json(build_report(small_trace())));
  document["totals"]["reclaimable_bytes"] = 0;
  document["sites"] = nlohmann::ordered_json::array();
  return document;
}

}  // namespace invact::testing
