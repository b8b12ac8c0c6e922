// The functions that the kernels are measured against, independent of them: values and derivatives
// in long double (80 bits on x86; spot-checked against 50 digits by python_reference_test.py). No
// torch.
#pragma once

#include <string>
#include <vector>

#include "kernels/math/functions.h"

namespace invact::testing {

using kernels::ActivationFunction;

/// One function with a branch bit, as the tests know it.
struct Reference {
  std::string name;
  ActivationFunction function;
  long double (*value)(long double);
  long double (*derivative)(long double);
  long double minimum_x;     ///< By 50-digit arithmetic.
  double lowest_derivative;  ///< Smallest and largest f', same source.
  double highest_derivative;
  double highest_curvature;  ///< Largest |f''|, rounded up.
};

/// Those with one minimum and a branch bit.
const std::vector<Reference>& references();

/// One monotone function, whose derivative is a formula of the output.
struct ClosedReference {
  std::string name;
  ActivationFunction function;
  long double (*value)(long double);
  long double (*derivative)(long double);
  long double (*derivative_from_value)(long double);  ///< derivative(x) by value(x).
  std::vector<double> kinks;                          ///< Where f' jumps.
};

const std::vector<ClosedReference>& closed_references();

}  // namespace invact::testing
