// What the bench prints while it runs: a line per comparison with what a reader wants of it. All
// counters stand in the JSON (--benchmark_format=json, --benchmark_out=FILE).
#pragma once

#include <benchmark/benchmark.h>

#include <vector>

namespace invact::bench {

class Console : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
};

}  // namespace invact::bench
