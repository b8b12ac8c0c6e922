#include "tests/kernels/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace invact::testing {
namespace {

constexpr long double kInverseSqrt2 = 1.0L / std::numbers::sqrt2_v<long double>;
constexpr long double kInverseSqrtTwoPi = std::numbers::inv_sqrtpi_v<long double> * kInverseSqrt2;
constexpr long double kTanhScale = 2.0L * kInverseSqrtTwoPi;  // sqrt(2 / pi)
constexpr long double kTanhCubic = 0.044715L;                 // defines approximate='tanh'

long double sigmoid(long double x) {
  return 1.0L / (1.0L + std::exp(-x));
}

long double gelu(long double x) {
  return 0.5L * x * std::erfc(-x * kInverseSqrt2);
}
long double gelu_slope(long double x) {
  return 0.5L * std::erfc(-x * kInverseSqrt2) + x * kInverseSqrtTwoPi * std::exp(-0.5L * x * x);
}

long double tanh_argument(long double x) {
  return 2.0L * kTanhScale * (x + kTanhCubic * x * x * x);
}
long double gelu_tanh(long double x) {
  return x * sigmoid(tanh_argument(x));
}
long double gelu_tanh_slope(long double x) {
  const long double u = tanh_argument(x);
  const long double inner = 2.0L * kTanhScale * (1.0L + 3.0L * kTanhCubic * x * x);
  return sigmoid(u) + x * sigmoid(u) * sigmoid(-u) * inner;
}

long double silu(long double x) {
  return x * sigmoid(x);
}
long double silu_slope(long double x) {
  return sigmoid(x) * (1.0L + x * sigmoid(-x));
}

long double mish(long double x) {
  return x * std::tanh(std::log1p(std::exp(x)));
}
long double mish_slope(long double x) {
  const long double gate = std::tanh(std::log1p(std::exp(x)));
  return gate + x * (1.0L - gate) * (1.0L + gate) * sigmoid(x);
}

constexpr long double kQuickGeluRate = 1.702L;  // defines the function

long double quick_gelu(long double x) {
  return x * sigmoid(kQuickGeluRate * x);
}
long double quick_gelu_slope(long double x) {
  return silu_slope(kQuickGeluRate * x);
}

long double hardswish(long double x) {
  if (x <= -3) return -0.0L;
  return x < 3 ? x * (x + 3) / 6 : x;
}
long double hardswish_slope(long double x) {
  if (x <= -3) return 0;
  return x < 3 ? x / 3 + 0.5L : 1;
}

// The parameters of ELU, CELU and Leaky ReLU under test: ATen's defaults, and others that could be
// mixed up with each other.
constexpr long double kAlpha = 0.75L;
constexpr long double kScale = 1.5L;
constexpr long double kInputScale = 0.5L;

long double elu_of(long double x, long double alpha, long double scale, long double input_scale) {
  return x > 0 ? scale * x : scale * alpha * std::expm1(input_scale * x);
}
long double elu_slope_of(long double x, long double alpha, long double scale,
                         long double input_scale) {
  return x > 0 ? scale : scale * alpha * input_scale * std::exp(input_scale * x);
}
long double elu(long double x) {
  return elu_of(x, 1, 1, 1);
}
long double elu_slope(long double x) {
  return elu_slope_of(x, 1, 1, 1);
}
long double elu_slope_from_value(long double y) {
  return y > 0 ? 1 : y + 1;
}
long double scaled_elu(long double x) {
  return elu_of(x, kAlpha, kScale, kInputScale);
}
long double scaled_elu_slope(long double x) {
  return elu_slope_of(x, kAlpha, kScale, kInputScale);
}
long double scaled_elu_slope_from_value(long double y) {
  return y > 0 ? kScale : kInputScale * (y + kScale * kAlpha);
}
long double celu(long double x) {
  return elu_of(x, kAlpha, 1, 1 / kAlpha);
}
long double celu_slope(long double x) {
  return elu_slope_of(x, kAlpha, 1, 1 / kAlpha);
}
long double celu_slope_from_value(long double y) {
  return y > 0 ? 1 : y / kAlpha + 1;
}
// Klambauer et al., arXiv 1706.02515, section 2: double, as ATen has them.
constexpr long double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr long double kSeluScale = 1.0507009873554804934193349852946;
long double selu(long double x) {
  return elu_of(x, kSeluAlpha, kSeluScale, 1);
}
long double selu_slope(long double x) {
  return elu_slope_of(x, kSeluAlpha, kSeluScale, 1);
}
long double selu_slope_from_value(long double y) {
  return y > 0 ? kSeluScale : y + kSeluScale * kSeluAlpha;
}

long double softplus(long double x) {
  return x > 20 ? x : std::log1p(std::exp(x));
}
long double softplus_slope(long double x) {
  return x > 20 ? 1 : sigmoid(x);
}
long double softplus_slope_from_value(long double y) {
  return -std::expm1(-y);
}
long double log_sigmoid(long double x) {
  return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x));
}
long double log_sigmoid_slope(long double x) {
  return sigmoid(-x);
}
long double log_sigmoid_slope_from_value(long double y) {
  return -std::expm1(y);
}

long double softsign(long double x) {
  return x / (1 + std::abs(x));
}
long double softsign_slope(long double x) {
  return 1 / ((1 + std::abs(x)) * (1 + std::abs(x)));
}
long double softsign_slope_from_value(long double y) {
  return (1 - std::abs(y)) * (1 - std::abs(y));
}

constexpr long double kNegativeSlope = 0.01;  // ATen's default, a double
long double leaky_relu(long double x) {
  return x > 0 ? x : kNegativeSlope * x;
}
long double leaky_relu_slope(long double x) {
  return x > 0 ? 1 : kNegativeSlope;
}

long double hardsigmoid(long double x) {
  return std::clamp((x + 3) / 6, 0.0L, 1.0L);
}
long double hardsigmoid_slope(long double x) {
  return x > -3 && x < 3 ? 1.0L / 6 : 0;
}
long double hardsigmoid_slope_from_value(long double y) {
  return y > 0 && y < 1 ? 1.0L / 6 : 0;
}

long double hardtanh(long double x) {
  return std::clamp(x, -1.0L, 1.0L);
}
long double hardtanh_slope(long double x) {
  return x > -1 && x < 1 ? 1 : 0;
}

long double relu6(long double x) {
  return std::clamp(x, 0.0L, 6.0L);
}
long double relu6_slope(long double x) {
  return x > 0 && x < 6 ? 1 : 0;
}

double normal_density(double x) {
  return std::exp(-0.5 * x * x) * static_cast<double>(kInverseSqrtTwoPi);
}

/// Mass of N(0, 1) in [low, high], accurate in both tails.
double normal_mass(double low, double high) {
  const auto upper_tail = [](double z) {
    return 0.5 * std::erfc(z * static_cast<double>(kInverseSqrt2));
  };
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

std::vector<double> slopes(long double (*slope)(long double), const Grid& grid) {
  std::vector<double> result(grid.x.size());
  for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<double>(slope(grid.x[i]));
  return result;
}

}  // namespace

const std::vector<Reference>& references() {
  using namespace kernels::math;
  static const std::vector<Reference> all = {
      {"Gelu", Gelu{}, gelu, gelu_slope, -0.751791524693564457L, -0.1289, 1.1289, 0.80},
      {"GeluTanh", GeluTanh{}, gelu_tanh, gelu_tanh_slope, -0.752461422071016258L, -0.1290, 1.1290,
       0.80},
      {"Silu", Silu{}, silu, silu_slope, -1.278464542761073795L, -0.0998, 1.0998, 0.50},
      {"Mish", Mish{}, mish, mish_slope, -1.19243121451549521L, -0.1125, 1.0885, 0.65},
      {"QuickGelu", QuickGelu{}, quick_gelu, quick_gelu_slope, -0.751154255441288951L, -0.0998,
       1.0998, 0.86},
      {"Hardswish", Hardswish{}, hardswish, hardswish_slope, -1.5L, -0.5, 1.5, 0.34},
  };
  return all;
}

const std::vector<ClosedReference>& closed_references() {
  using namespace kernels::math;
  static const std::vector<ClosedReference> all = {
      {"Elu", Elu{1, 1, 1}, elu, elu_slope, elu_slope_from_value, {}},
      {"ScaledElu",
       Elu{kAlpha, kScale, kInputScale},
       scaled_elu,
       scaled_elu_slope,
       scaled_elu_slope_from_value,
       {0}},
      {"Celu", kernels::math::celu(kAlpha), celu, celu_slope, celu_slope_from_value, {}},
      {"Selu", kernels::math::selu(), selu, selu_slope, selu_slope_from_value, {0}},
      {"Softplus", Softplus{1, 20}, softplus, softplus_slope, softplus_slope_from_value, {20}},
      {"LogSigmoid",
       LogSigmoid{},
       log_sigmoid,
       log_sigmoid_slope,
       log_sigmoid_slope_from_value,
       {}},
      {"Softsign", Softsign{}, softsign, softsign_slope, softsign_slope_from_value, {}},
      {"LeakyRelu", LeakyRelu{0.01}, leaky_relu, leaky_relu_slope, leaky_relu_slope, {0}},
      {"Hardsigmoid",
       Hardsigmoid{},
       hardsigmoid,
       hardsigmoid_slope,
       hardsigmoid_slope_from_value,
       {-3, 3}},
      {"Hardtanh", Hardtanh{-1, 1}, hardtanh, hardtanh_slope, hardtanh_slope, {-1, 1}},
      {"Relu6", Hardtanh{0, 6}, relu6, relu6_slope, relu6_slope, {0, 6}},
  };
  return all;
}

Format format_of(Storage storage) {
  switch (storage) {
    case Storage::kFloat64:
      return {storage, 53, -1022, 1023};
    case Storage::kFloat32:
      return {storage, 24, -126, 127};
    case Storage::kBFloat16:
      return {storage, 8, -126, 127};
    case Storage::kFloat16:
      return {storage, 11, -14, 15};
  }
  return {};
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
    const int first =
        exponent == format.min_exponent ? 0 : mantissas;  // subnormals join the first octave
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
                       const std::vector<double>& derivative) {
  return summarize(reference.slope, static_cast<double>(reference.minimum_x), grid, outputs,
                   derivative);
}

ErrorSummary summarize(long double (*slope)(long double), double centre, const Grid& grid,
                       const StoredOutputs& outputs, const std::vector<double>& derivative) {
  constexpr double kAway = 0.01;
  constexpr double kNegligibleMass = 1e-13;
  ErrorSummary summary;
  std::vector<double> error = slopes(slope, grid);
  for (size_t i = 0; i < error.size(); ++i) {
    error[i] = derivative[i] - error[i];
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
  return information_limit(reference.slope, grid, outputs);
}

Limit information_limit(long double (*slope_of)(long double), const Grid& grid,
                        const StoredOutputs& outputs) {
  constexpr double kNegligibleMass = 1e-12;
  const std::vector<double> slope = slopes(slope_of, grid);
  Limit limit;
  for_each_cell(outputs, [&](size_t first, size_t end) {
    double mass = 0;
    double sum = 0;
    for (size_t i = first; i < end; ++i) {
      mass += grid.mass[i];
      sum += grid.mass[i] * slope[i];
    }
    if (mass <= 0) return;
    for (size_t i = first; i < end; ++i) {
      limit.rms += grid.mass[i] * (slope[i] - sum / mass) * (slope[i] - sum / mass);
    }
    const auto [low, high] = std::minmax_element(slope.begin() + static_cast<std::ptrdiff_t>(first),
                                                 slope.begin() + static_cast<std::ptrdiff_t>(end));
    if (mass > kNegligibleMass) limit.half_width = std::max(limit.half_width, 0.5 * (*high - *low));
  });
  limit.rms = std::sqrt(limit.rms);
  return limit;
}

}  // namespace invact::testing
