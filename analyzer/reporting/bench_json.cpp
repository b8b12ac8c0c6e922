#include "analyzer/reporting/bench_json.h"

#include "analyzer/reporting/json.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

Json quartiles_json(const Quartiles& of) {
  return {{"lower_quartile", of.lower}, {"median", of.median}, {"upper_quartile", of.upper}};
}

Json side_json(const BenchSide& side) {
  Json times = quartiles_json(step_quartiles(side));
  times["samples"] = side.step_ns;
  return {{"model", to_json(side.model)},
          {"step_ns", std::move(times)},
          {"saved_bytes", side.saved_bytes},
          {"peak_bytes", side.peak.bytes},
          {"peak_phase", step_phase_name(side.peak.phase)},
          {"peak_op", side.peak.op}};
}

Json ratio_json(const BenchResult& result) {
  std::vector<double> ratios = time_ratios(result);
  if (ratios.empty()) return nullptr;
  Json json = quartiles_json(quartiles(ratios));
  json["samples"] = std::move(ratios);
  return json;
}

}  // namespace

Json to_json(const BenchResult& result) {
  Json document;
  document["inputs"] = to_json(result.inputs);
  document["run"] = to_json(result.run);
  document["pairs"] = result.original.step_ns.size();
  document["warmup"] = result.warmup_count;
  document["allocator"] = result.allocator;
  document["original"] = side_json(result.original);
  document["rewritten"] = result.rewritten ? side_json(*result.rewritten) : Json(nullptr);
  document["ratio"] = ratio_json(result);
  document["notes"] = bench_notes(result);
  return document;
}

}  // namespace invact
