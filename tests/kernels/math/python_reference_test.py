"""The reference of the C++ tests against 50-digit arithmetic: f to 1e-16 relative, f' to 1e-18 absolute, x* to all its digits.

Run: python python_reference_test.py <invact_reference_dump>
"""

import subprocess
import sys

import mpmath

mpmath.mp.dps = 50


def clamp(x, low, high):
    return min(max(x, mpmath.mpf(low)), mpmath.mpf(high))


def elu(x, alpha, scale, input_scale):
    return scale * x if x > 0 else scale * alpha * mpmath.expm1(input_scale * x)


FUNCTIONS = {
    "Gelu": lambda x: x * mpmath.ncdf(x),
    "ErfGelu": lambda x: x * mpmath.ncdf(x),
    "GeluTanh": lambda x: x / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))),
    "Silu": lambda x: x / (1 + mpmath.exp(-x)),
    "Mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "QuickGelu": lambda x: x / (1 + mpmath.exp(-mpmath.mpf("1.702") * x)),
    "Hardswish": lambda x: x * clamp(x + 3, 0, 6) / 6,
    "Elu": lambda x: elu(x, 1, 1, 1),
    "ScaledElu": lambda x: elu(x, mpmath.mpf("0.75"), mpmath.mpf("1.5"), mpmath.mpf("0.5")),
    "Celu": lambda x: elu(x, mpmath.mpf("0.75"), 1, 1 / mpmath.mpf("0.75")),
    "Selu": lambda x: elu(x, mpmath.mpf(1.6732632423543772), mpmath.mpf(1.0507009873554805), 1),
    "Softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "LogSigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "Softsign": lambda x: x / (1 + abs(x)),
    "SquaredRelu": lambda x: x * x if x > 0 else mpmath.mpf(0),
    "LeakyRelu": lambda x: x if x > 0 else mpmath.mpf(0.01) * x,
    "Hardsigmoid": lambda x: clamp(x + 3, 0, 6) / 6,
    "Hardtanh": lambda x: clamp(x, -1, 1),
    "Relu6": lambda x: clamp(x, 0, 6),
}
KINKS = (-3, -1, 0, 1, 3, 6)  # of some of them: no derivative to compare there
# Relative. Long double carries 1e-19; far out on the left f is exp(-x^2 / 2), which multiplies it by x^2.
VALUE_TOLERANCE = mpmath.mpf("1e-16")
DERIVATIVE_TOLERANCE = mpmath.mpf("1e-18")  # absolute; the measured errors of f' start at 1e-9
MINIMUM_TOLERANCE = mpmath.mpf("1e-17")


def main():
    text = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    worst_value = worst_derivative = mpmath.mpf(0)
    for line in text.splitlines():
        name, first, *rest = line.split()
        f = FUNCTIONS[name]
        if first == "minimum":
            error = abs(mpmath.findroot(lambda v, f=f: mpmath.diff(f, v), -1) - mpmath.mpf(rest[0]))
            assert error < MINIMUM_TOLERANCE, f"{name}: x* is off by {error}"
            continue
        x, value, derivative = (mpmath.mpf(text) for text in (first, *rest))
        if x in KINKS:
            continue
        worst_value = max(worst_value, abs(value - f(x)) / max(abs(f(x)), mpmath.mpf("1e-300")))
        worst_derivative = max(worst_derivative, abs(derivative - mpmath.diff(f, x)))
    print(f"f: {mpmath.nstr(worst_value, 3)} relative, f': {mpmath.nstr(worst_derivative, 3)} absolute")
    assert worst_value < VALUE_TOLERANCE and worst_derivative < DERIVATIVE_TOLERANCE
    return 0


if __name__ == "__main__":
    sys.exit(main())
