// A BenchResult made by hand, for what computes, prints and writes it.
#pragma once

#include <string>

#include "analyzer/bench_result.h"

namespace invact::test {

/// Three pairs, of which the machine disturbed one; less is saved, and the peak lies elsewhere.
inline BenchResult small_bench_result() {
  BenchResult result;
  result.inputs = {{"x", {"float32", {8, 16}, 128, 512}, "randn"}};
  result.run = {"cpu", "train", "eager", "", 7, 2};
  result.warmup_count = 2;
  result.allocator = "c10 CPU allocator";
  const std::string digest(64, 'a'), other_digest(64, 'b');
  result.original.model = {"model.pt", digest, 1 << 20, 12, 1 << 20, true};
  result.original.step_ns = {110'000'000, 80'000'000, 100'000'000};
  result.original.saved_bytes = 9 << 20;
  result.original.peak.bytes = 16 << 20;
  result.original.peak.phase = StepPhase::kBackward;
  result.original.peak.op = "GeluBackward0";
  BenchSide& rewritten = result.rewritten.emplace(result.original);
  rewritten.model.path = "model.invact.pt";
  rewritten.model.sha256 = other_digest;
  rewritten.step_ns = {110'000'000, 100'000'000, 90'000'000};
  rewritten.saved_bytes = (6 << 20) + 98304;
  rewritten.peak.bytes = 14 << 20;
  rewritten.peak.op = "";
  return result;
}

}  // namespace invact::test
