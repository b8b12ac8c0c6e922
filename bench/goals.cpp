#include "bench/goals.h"

#include <algorithm>
#include <string_view>

namespace invact::bench {
namespace {

/// An empty name, or count 0, means every one.
struct Row {
  std::string_view device;
  std::string_view direction;
  std::string_view op;
  std::string_view dtype;
  int64_t element_count;
  Goal goal;
};

constexpr int64_t kEvery = 0;
constexpr Goal at_most_atens(double factor) {
  return {Unit::kRatioToAten, factor};
}
constexpr Goal at_most_copies(double factor) {
  return {Unit::kCopyUnits, factor};
}

// Issue 5, items 3 and 4.
constexpr Row kGoals[] = {
    // clang-format off
    {"cpu", "forward",  "",            "",         kEvery, at_most_atens(1.10)},
    {"cpu", "backward", "gelu",        "float32",  kEvery, at_most_atens(1.1)},
    {"cpu", "backward", "gelu",        "bfloat16", kEvery, at_most_atens(0.5)},
    {"cpu", "backward", "gelu",        "float16",  kEvery, at_most_atens(0.5)},
    {"cpu", "backward", "gelu_tanh",   "float32",  kEvery, at_most_atens(0.6)},
    {"cpu", "backward", "gelu_tanh",   "bfloat16", kEvery, at_most_atens(0.4)},
    {"cpu", "backward", "gelu_tanh",   "float16",  kEvery, at_most_atens(0.4)},
    {"cpu", "backward", "silu",        "float32",  kEvery, at_most_atens(1.1)},
    {"cpu", "backward", "silu",        "bfloat16", kEvery, at_most_atens(0.85)},
    {"cpu", "backward", "silu",        "float16",  kEvery, at_most_atens(0.85)},
    {"cpu", "backward", "mish",        "float32",  kEvery, at_most_atens(0.35)},
    {"cpu", "backward", "mish",        "bfloat16", kEvery, at_most_atens(0.25)},
    {"cpu", "backward", "mish",        "float16",  kEvery, at_most_atens(0.25)},
    {"cpu", "backward", "hardswish",   "float32",  kEvery, at_most_atens(0.5)},
    {"cpu", "backward", "elu",         "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "celu",        "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "selu",        "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "softplus",    "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "log_sigmoid", "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "softsign",    "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "leaky_relu",  "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "hardsigmoid", "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "hardtanh",    "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "relu6",       "",         kEvery, at_most_copies(1.2)},
    {"cpu", "backward", "squared_relu", "",        kEvery, at_most_copies(1.2)},
    // Issue 7, item 4.
    {"cpu", "",         "layer_norm",  "",         kEvery, at_most_atens(1.05)},
    {"cpu", "",         "rms_norm",    "",         kEvery, at_most_atens(1.05)},
    {"cpu", "",         "dropout",     "",         kEvery, at_most_atens(1.05)},
    {"cpu", "",         "gelu_dropout", "",        kEvery, at_most_atens(1.05)},
    {"cuda", "",        "",            "",         kEvery, at_most_atens(1.03)},
    // At least 0.9 of the copy's bandwidth.
    {"cuda", "",        "",            "bfloat16", 1 << 25, at_most_copies(1 / 0.9)},
    // clang-format on
};

bool covers(const Row& row, const Subject& subject) {
  const auto is = [](std::string_view wanted, std::string_view value) {
    return wanted.empty() || wanted == value;
  };
  return is(row.device, subject.device) && is(row.direction, subject.direction) &&
         is(row.op, subject.op) && is(row.dtype, subject.dtype) &&
         (row.element_count == kEvery || row.element_count == subject.element_count);
}

}  // namespace

std::string Subject::name() const {
  std::string name =
      op + "/" + direction + "/" + dtype + "/" + device + "/n=" + std::to_string(element_count);
  if (thread_count > 0) name += "/threads=" + std::to_string(thread_count);
  return name;
}

std::vector<Goal> goals_for(const Subject& subject) {
  std::vector<Goal> goals;
  for (const Row& row : kGoals) {
    if (covers(row, subject)) goals.push_back(row.goal);
  }
  return goals;
}

const Quartiles& in_unit(const Finding& finding, Unit unit) {
  return unit == Unit::kRatioToAten ? finding.ratio_to_aten : finding.copy_units;
}

bool is_met(const Goal& goal, const Finding& finding) {
  return in_unit(finding, goal.unit).lower <= goal.limit;
}

}  // namespace invact::bench
