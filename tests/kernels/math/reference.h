// How the kernels are measured against the reference functions: number formats, input grids and
// their N(0,1) masses, and the error of the best possible estimator of f' from a stored y and a
// branch bit. No torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/math/forms.h"
#include "tests/kernels/math/reference_functions.h"

namespace invact::testing {

struct Format {
  ElementType type;
  int precision;     ///< Significant bits.
  int min_exponent;  ///< Of the smallest normal number.
  int max_exponent;
};
Format format_of(ElementType type);
std::string element_type_name(ElementType type);  ///< "BFloat16".
inline bool is_16_bit(ElementType type) {
  return type == ElementType::kBFloat16 || type == ElementType::kFloat16;
}

/// Nearest number of the format, ties to even; overflows to infinity.
double round_to(long double value, const Format& format);

/// Inputs in increasing order and the mass of each one's rounding cell under N(mu, sigma^2), where
/// asked for.
struct Grid {
  std::vector<double> x;
  std::vector<double> mass;
};
/// Every finite code of a 16-bit format with |x| < 60.
Grid all_codes(const Format& format, double mu = 0.0, double sigma = 1.0);
/// Blocks of 8192 neighbouring float32 codes, 8 per octave of 2^-10 <= |x| < 8, and every code
/// within 0.01 of `centre` (the minimum).
Grid float32_blocks(double centre);
/// float64: a normal sample with sigma = 2, and points that approach `centre` (the minimum)
/// geometrically.
Grid float64_sample(double centre);

/// y = f(x) rounded to the format.
std::vector<double> rounded_values(long double (*value)(long double), const Grid& grid,
                                   const Format& format);

/// rounded_values(), and x < x*.
StoredOutputs stored_outputs(const Reference& reference, const Grid& grid, const Format& format);

struct ErrorSummary {
  double rms = 0;
  double max = 0;       ///< Over inputs of mass above 1e-13.
  double bias = 0;      ///< Mass-weighted mean.
  double l1_bias = 0;   ///< E |E[error | y, branch]|.
  double away_max = 0;  ///< As rms and max, over |x - x*| > 0.01.
  double away_rms = 0;
};
/// Error of `found` (one value per input) against f'(x); "away" is from `centre`.
ErrorSummary summarize(long double (*derivative)(long double), double centre, const Grid& grid,
                       const StoredOutputs& outputs, const std::vector<double>& found);
ErrorSummary summarize(const Reference& reference, const Grid& grid, const StoredOutputs& outputs,
                       const std::vector<double>& found);

struct Limit {
  double rms = 0;         ///< Of the conditional mean, the best estimator.
  double half_width = 0;  ///< Largest half-width of f' over the inputs that share (y, branch).
};
Limit information_limit(long double (*derivative)(long double), const Grid& grid,
                        const StoredOutputs& outputs);
Limit information_limit(const Reference& reference, const Grid& grid, const StoredOutputs& outputs);

}  // namespace invact::testing
