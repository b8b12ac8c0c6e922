#include "tests/kernels/math/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace invact::testing {
namespace {

constexpr double kInverseSqrt2 = 1.0 / std::numbers::sqrt2;
constexpr double kInverseSqrtTwoPi = std::numbers::inv_sqrtpi * kInverseSqrt2;

double normal_density(double x) {
  return std::exp(-0.5 * x * x) * kInverseSqrtTwoPi;
}

/// Mass of N(0, 1) in [low, high], accurate in both tails.
double normal_mass(double low, double high) {
  const auto upper_tail = [](double z) { return 0.5 * std::erfc(z * kInverseSqrt2); };
  return low < 0 ? upper_tail(-high) - upper_tail(-low) : upper_tail(low) - upper_tail(high);
}

/// Inputs come in increasing order, so those that share (y, branch) are neighbours: calls
/// visit(first, end) for each run.
template <class Visit>
void for_each_cell(const StoredOutputs& outputs, const Visit& visit) {
  size_t first = 0;
  for (size_t i = 1; i <= outputs.y.size(); ++i) {
    const bool same = i < outputs.y.size() && outputs.y[i] == outputs.y[first] &&
                      outputs.left[i] == outputs.left[first];
    if (same) continue;
    visit(first, i);
    first = i;
  }
}

std::vector<double> derivatives(long double (*derivative)(long double), const Grid& grid) {
  std::vector<double> result(grid.x.size());
  for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<double>(derivative(grid.x[i]));
  return result;
}

}  // namespace

Format format_of(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return {type, 53, -1022, 1023};
    case ElementType::kFloat32:
      return {type, 24, -126, 127};
    case ElementType::kBFloat16:
      return {type, 8, -126, 127};
    case ElementType::kFloat16:
      return {type, 11, -14, 15};
  }
  return {};
}

std::string element_type_name(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return "Float64";
    case ElementType::kFloat32:
      return "Float32";
    case ElementType::kBFloat16:
      return "BFloat16";
    case ElementType::kFloat16:
      return "Float16";
  }
  return "";
}

double round_to(long double value, const Format& format) {
  if (value == 0 || !std::isfinite(value)) return static_cast<double>(value);
  const int exponent = std::max(std::ilogb(value), format.min_exponent);
  const int quantum = exponent - format.precision + 1;
  const long double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -quantum)), quantum);
  const bool overflows = std::abs(rounded) >= std::ldexp(1.0L, format.max_exponent + 1);
  return overflows
             ? std::copysign(std::numeric_limits<double>::infinity(), static_cast<double>(value))
             : static_cast<double>(rounded);
}

Grid all_codes(const Format& format, double mu, double sigma) {
  constexpr double kLimit = 60.0;
  Grid grid;
  const int mantissas = 1 << (format.precision - 1);
  for (int exponent = format.min_exponent; exponent <= format.max_exponent; ++exponent) {
    // Subnormals join the first octave.
    const int first = exponent == format.min_exponent ? 0 : mantissas;
    for (int m = first; m < 2 * mantissas; ++m) {
      const double x = std::ldexp(m, exponent - format.precision + 1);
      if (x < kLimit) grid.x.push_back(x);
    }
  }
  const std::vector<double> positive(grid.x.begin() + 1, grid.x.end());
  std::vector<double> all(positive.rbegin(), positive.rend());
  for (double& x : all) x = -x;
  all.insert(all.end(), grid.x.begin(), grid.x.end());
  grid.x = std::move(all);
  const double infinity = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < grid.x.size(); ++i) {
    const double low = i == 0 ? -infinity : 0.5 * (grid.x[i - 1] + grid.x[i]);
    const double high = i + 1 == grid.x.size() ? infinity : 0.5 * (grid.x[i] + grid.x[i + 1]);
    grid.mass.push_back(normal_mass((low - mu) / sigma, (high - mu) / sigma));
  }
  return grid;
}

Grid float32_blocks(double centre) {
  constexpr int kBlock = 1 << 13;
  constexpr int kBlocksPerOctave = 8;
  constexpr int kMantissas = 1 << 23;
  constexpr double kNear = 0.01;
  std::mt19937 random(3);
  std::vector<std::pair<double, double>> points;
  for (const int sign : {-1, 1}) {
    for (int exponent = -10; exponent < 3; ++exponent) {
      for (int block = 0; block < kBlocksPerOctave; ++block) {
        constexpr int kStride = kMantissas / kBlocksPerOctave;
        const int start = block * kStride + static_cast<int>(random() % (kStride - kBlock));
        for (int m = start; m < start + kBlock; ++m) {
          const double x = sign * std::ldexp(1.0 + static_cast<double>(m) / kMantissas, exponent);
          const double represented = std::ldexp(1.0, exponent) / kBlocksPerOctave / kBlock;
          if (std::abs(x - centre) > kNear) points.emplace_back(x, normal_density(x) * represented);
        }
      }
    }
  }
  const float last = static_cast<float>(centre + kNear);
  for (float x = static_cast<float>(centre - kNear); x < last;) {
    const float next = std::nextafter(x, last);
    points.emplace_back(x, normal_density(x) * (next - x));
    x = next;
  }
  std::sort(points.begin(), points.end());
  double total = 0;
  for (const auto& point : points) total += point.second;
  Grid grid;
  for (const auto& [x, mass] : points) {
    grid.x.push_back(x);
    grid.mass.push_back(mass / total);
  }
  return grid;
}

Grid float64_sample(double centre) {
  constexpr int kRandom = 1 << 16;
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0.0, 2.0);
  Grid grid;
  for (int i = 0; i < kRandom; ++i) grid.x.push_back(normal(random));
  constexpr int kStepsPerOctave = 64;
  for (int step = -40 * kStepsPerOctave; step < 0; ++step) {
    const double distance = std::exp2(static_cast<double>(step) / kStepsPerOctave);
    grid.x.push_back(centre - distance);
    grid.x.push_back(centre + distance);
  }
  std::sort(grid.x.begin(), grid.x.end());
  grid.mass.assign(grid.x.size(), 1.0 / static_cast<double>(grid.x.size()));
  return grid;
}

std::vector<double> rounded_values(long double (*value)(long double), const Grid& grid,
                                   const Format& format) {
  std::vector<double> values;
  values.reserve(grid.x.size());
  for (const double x : grid.x) values.push_back(round_to(value(x), format));
  return values;
}

StoredOutputs stored_outputs(const Reference& reference, const Grid& grid, const Format& format) {
  StoredOutputs outputs{rounded_values(reference.value, grid, format), {}};
  for (const double x : grid.x) outputs.left.push_back(x < reference.minimum_x);
  return outputs;
}

ErrorSummary summarize(const Reference& reference, const Grid& grid, const StoredOutputs& outputs,
                       const std::vector<double>& found) {
  return summarize(reference.derivative, static_cast<double>(reference.minimum_x), grid, outputs,
                   found);
}

ErrorSummary summarize(long double (*derivative)(long double), double centre, const Grid& grid,
                       const StoredOutputs& outputs, const std::vector<double>& found) {
  constexpr double kAway = 0.01;
  constexpr double kNegligibleMass = 1e-13;
  ErrorSummary summary;
  std::vector<double> error = derivatives(derivative, grid);
  for (size_t i = 0; i < error.size(); ++i) {
    error[i] = found[i] - error[i];
    const double squared = grid.mass[i] * error[i] * error[i];
    summary.rms += squared;
    summary.bias += grid.mass[i] * error[i];
    if (grid.mass[i] > kNegligibleMass) summary.max = std::max(summary.max, std::abs(error[i]));
    if (std::abs(grid.x[i] - centre) > kAway) {
      summary.away_rms += squared;
      summary.away_max = std::max(summary.away_max, std::abs(error[i]));
    }
  }
  summary.rms = std::sqrt(summary.rms);
  summary.away_rms = std::sqrt(summary.away_rms);
  for_each_cell(outputs, [&](size_t first, size_t end) {
    double sum = 0;
    for (size_t i = first; i < end; ++i) sum += grid.mass[i] * error[i];
    summary.l1_bias += std::abs(sum);
  });
  return summary;
}

Limit information_limit(const Reference& reference, const Grid& grid,
                        const StoredOutputs& outputs) {
  return information_limit(reference.derivative, grid, outputs);
}

Limit information_limit(long double (*derivative_of)(long double), const Grid& grid,
                        const StoredOutputs& outputs) {
  constexpr double kNegligibleMass = 1e-12;
  const std::vector<double> derivative = derivatives(derivative_of, grid);
  Limit limit;
  for_each_cell(outputs, [&](size_t first, size_t end) {
    double mass = 0;
    double sum = 0;
    for (size_t i = first; i < end; ++i) {
      mass += grid.mass[i];
      sum += grid.mass[i] * derivative[i];
    }
    if (mass <= 0) return;
    for (size_t i = first; i < end; ++i) {
      limit.rms += grid.mass[i] * (derivative[i] - sum / mass) * (derivative[i] - sum / mass);
    }
    const auto [low, high] =
        std::minmax_element(derivative.begin() + static_cast<std::ptrdiff_t>(first),
                            derivative.begin() + static_cast<std::ptrdiff_t>(end));
    if (mass > kNegligibleMass) limit.half_width = std::max(limit.half_width, 0.5 * (*high - *low));
  });
  limit.rms = std::sqrt(limit.rms);
  return limit;
}

}  // namespace invact::testing
