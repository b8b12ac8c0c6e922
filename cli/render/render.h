// Text for people: pure functions from plain data to strings, one for each thing that a command
// prints. Each is in a file of its own beside this header. Knows no torch and writes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/bench_result.h"
#include "analyzer/device_report.h"
#include "analyzer/report.h"
#include "cli/ci/gates.h"
#include "cli/ci/report_diff.h"
#include "rewriter/plan.h"
#include "rewriter/verification/verification.h"

namespace invact {

/// Marks of emphasis; empty strings where colour is off.
struct Style {
  std::string_view bold;
  std::string_view dim;
  std::string_view good;
  std::string_view bad;
  std::string_view reset;
};

/// The room that text has, and whether box and block characters may be used.
struct Canvas {
  int64_t width = 100;
  bool unicode = true;
};

struct RenderOptions {
  Style style;
  int64_t top = 10;      ///< Rows per table; the rest is summed in one line.
  bool details = false;  ///< --verbose: every site with its reason, every module.
  Canvas canvas = {};
};

/// What `invact analyze` prints.
std::string render_report(const Report& report, const Plan& plan, const RenderOptions& options);

// Parts of render_report that are tested on their own.

/// Modules as a tree with bars: bytes with and without children. What is large is unfolded first,
/// until about two rows per `options.top` are used.
std::string render_module_tree(const Report& report, const RenderOptions& options);

/// Live bytes of the step, a few rows high, and its peak. Empty where the report has no timeline.
std::string render_timeline(const Report& report, const RenderOptions& options);

/// What a GPU did in the step: memory as autograd, the allocator and the driver count it, then the
/// operators by GPU time. Says so where records were lost, and where CUPTI was not asked.
std::string render_device(const DeviceReport& report, const RenderOptions& options);

/// The sites of a plan: accepted ones summed by operator, rejected ones grouped by reason.
std::string render_sites(const Plan& plan, const RenderOptions& options);

/// A line for each of several runs of `invact verify`; empty where there is one.
std::string render_runs(const std::vector<Verification>& runs, const RenderOptions& options);

/// What `invact verify` prints (of several runs: the worst), and `rewrite` after its plan.
std::string render_verification(const Verification& verification, const RenderOptions& options);

/// What `invact bench` prints.
std::string render_bench(const BenchResult& result, const RenderOptions& options);

/// What `invact diff` prints.
std::string render_diff(const ReportDiff& diff, const RenderOptions& options);

/// One line per gate; "" where there is none.
std::string render_gates(const std::vector<Gate>& gates, const RenderOptions& options);

/// What `invact ops` prints: the catalog.
std::string render_operators(const RenderOptions& options);

}  // namespace invact
