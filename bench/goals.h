// What a comparison found, and what it should find: the goals for speed, in one place. Plain data,
// no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/bench_result.h"

namespace invact::bench {

/// What was compared.
struct Subject {
  std::string op;         ///< "gelu_tanh"
  std::string direction;  ///< "forward" or "backward"
  std::string dtype;      ///< "float32", "bfloat16", "float16"
  std::string device;     ///< "cpu" or "cuda"
  int64_t element_count;
  int thread_count;  ///< 0 on a GPU.

  /// "gelu_tanh/backward/float32/cpu/n=4096/threads=1": what a filter matches.
  std::string name() const;
};

struct Finding {
  Subject subject;
  Quartiles ratio_to_aten;  ///< Of the times.
  Quartiles copy_units;     ///< Our time over that of a plain copy of the same bytes.
};

enum class Unit { kRatioToAten, kCopyUnits };

struct Goal {
  Unit unit;
  double limit;
};

/// Of which there may be none, or one per unit.
std::vector<Goal> goals_for(const Subject& subject);

const Quartiles& in_unit(const Finding& finding, Unit unit);

/// By the lower quartile.
bool is_met(const Goal& goal, const Finding& finding);

}  // namespace invact::bench
