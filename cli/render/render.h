// Text for people: pure functions from plain data to strings. Knows no torch and writes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/bench_result.h"
#include "analyzer/report.h"
#include "cli/terminal.h"
#include "rewriter/plan.h"
#include "rewriter/verification/verification.h"

namespace invact {

struct RenderOptions {
  Style style;
  int64_t top = 10;      ///< Rows per table; the rest is summed in one line.
  bool details = false;  ///< --verbose: every site with its reason, every module.
  Canvas canvas = {};
};

/// "416.4 MiB", "512 B".
std::string format_bytes(int64_t bytes);

/// "+18.4 MiB", "-512 B", "0 B".
std::string format_change(int64_t bytes);

/// What `invact analyze` prints.
std::string render_report(const Report& report, const Plan& plan, const RenderOptions& options);

/// The sites of a plan: accepted ones summed by operator, rejected ones grouped by reason.
std::string render_sites(const Plan& plan, const RenderOptions& options);

/// A line for each of several runs of `invact verify`; empty where there is one.
std::string render_runs(const std::vector<Verification>& runs, const RenderOptions& options);

/// What `invact verify` prints (of several runs: the worst), and `rewrite` after its plan.
std::string render_verification(const Verification& verification, const RenderOptions& options);

/// What `invact bench` prints.
std::string render_bench(const BenchResult& result, const RenderOptions& options);

/// What `invact ops` prints: the catalog.
std::string render_operators(const RenderOptions& options);

}  // namespace invact
