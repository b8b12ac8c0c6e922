// What dropout multiplies a kept element by, and how an activation's output is had back from what
// dropout made of it. Internal.
#pragma once

#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>

#include "kernels/activation/activation_function.h"

namespace invact::kernels {

/// The factor of an out-of-place dropout, rounded as ATen rounds it on that device.
double dropout_scale(c10::DeviceType device, c10::ScalarType dtype, double p);

/// Of z = dropout(f(x)), kept: f'(x) is the derivative of `function` by the output z / divisor, rounded
/// to the dtype.
///
/// The quotient is y = f(x) itself wherever scaling did not bring two numbers of the dtype
/// together, and at most a unit in the last place from it elsewhere. That is as good as y but where
/// f' jumps at an output that many inputs share: there it is compared with what dropout makes of
/// that output. An output just below it that becomes the same z counts as it.
struct Recovery {
  double divisor;
  ActivationFunction function;
};

Recovery recovery(const ActivationFunction& function, c10::DeviceType device, c10::ScalarType dtype,
                  double p);

}  // namespace invact::kernels
