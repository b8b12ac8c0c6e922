"""The activations in float64 and in arbitrary precision, and the number formats: what every fit starts from.

`value` and `derivative` are accurate to a few 1e-16; `minimum()` finds each function's minimum with 50 digits.
Knows no coefficients and writes nothing: fitting.py fits, header.py writes.
"""

import functools
from dataclasses import dataclass

import mpmath
import numpy as np
from scipy.special import expit, ndtr

mpmath.mp.dps = 50


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: significant bits and the exponents of its smallest and largest normal numbers."""

    precision: int
    min_exponent: int
    max_exponent: int


FORMATS = {
    "float32": Format(24, -126, 127),
    "bfloat16": Format(8, -126, 127),
    "float16": Format(11, -14, 15),
    "float64": Format(53, -1022, 1023),
}

_TANH_SCALE = np.sqrt(2 / np.pi)
_TANH_CUBIC = 0.044715  # the coefficient that defines approximate='tanh' (ATen: gelu)


def _gelu(x):
    density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    return x * ndtr(x), ndtr(x) + x * density


def _gelu_tanh(x):
    argument = 2 * _TANH_SCALE * (x + _TANH_CUBIC * x**3)
    sigmoid = expit(argument)
    inner_derivative = 2 * _TANH_SCALE * (1 + 3 * _TANH_CUBIC * x * x)
    return x * sigmoid, sigmoid + x * sigmoid * expit(-argument) * inner_derivative


def _silu(x):
    sigmoid = expit(x)
    return x * sigmoid, sigmoid * (1 + x * expit(-x))


def _mish(x):
    # With e = exp(x): tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2), which keeps its digits where e is tiny; for large x
    # the same in exp(-x).
    small = np.exp(-np.abs(x))
    numerator = np.where(x < 0, small * (small + 2), 1 + 2 * small)
    denominator = np.where(x < 0, numerator + 2, numerator + 2 * small * small)
    gate = numerator / denominator
    # 1 - gate^2 = 4 (1 + e)^2 / (e (e + 2) + 2)^2
    inner_derivative = np.where(x < 0, 4 * (1 + small) ** 2, 4 * (1 + small) ** 2 * small**2) / denominator**2
    return x * gate, gate + x * inner_derivative * expit(x)


_QUICK_GELU_RATE = 1.702  # defines the function (CLIP's quick_gelu)


def _quick_gelu(x):
    value, derivative = _silu(_QUICK_GELU_RATE * x)
    return value / _QUICK_GELU_RATE, derivative


def _mp_mish(x):
    return x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))


def _mp_gelu_tanh(x):
    argument = 2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    return x / (1 + mpmath.exp(-argument))


@dataclass(frozen=True)
class Activation:
    """One function: `evaluate(x) -> (f, f')` in float64, `precise(x) -> f` in arbitrary precision."""

    name: str
    evaluate: callable
    precise: callable
    minimum_guess: float

    def value(self, x):
        return self.evaluate(np.asarray(x, float))[0]

    def derivative(self, x):
        return self.evaluate(np.asarray(x, float))[1]


ACTIVATIONS = {
    "gelu": Activation("gelu", _gelu, lambda x: x * mpmath.ncdf(x), -0.75),
    "gelu_tanh": Activation("gelu_tanh", _gelu_tanh, _mp_gelu_tanh, -0.75),
    "silu": Activation("silu", _silu, lambda x: x / (1 + mpmath.exp(-x)), -1.28),
    "mish": Activation("mish", _mish, _mp_mish, -1.19),
    "quick_gelu": Activation(
        "quick_gelu", _quick_gelu, lambda x: x / (1 + mpmath.exp(-mpmath.mpf("1.702") * x)), -0.75
    ),
}


@dataclass(frozen=True)
class Minimum:
    """Where f' = 0, as mpmath numbers."""

    x: mpmath.mpf
    y: mpmath.mpf
    curvature: mpmath.mpf


@functools.cache
def minimum(name):
    activation = ACTIVATIONS[name]
    x = mpmath.findroot(lambda v: mpmath.diff(activation.precise, v), activation.minimum_guess)
    return Minimum(x, activation.precise(x), mpmath.diff(activation.precise, x, 2))


def encode(y, fmt):
    """Magnitude code of the nearest number of the format (ties to even)."""
    spec = FORMATS[fmt]
    magnitude = np.abs(y)
    _, exponent = np.frexp(magnitude)
    exponent = np.where(magnitude == 0, spec.min_exponent, exponent)
    quantum = np.maximum(exponent - 1, spec.min_exponent) - (spec.precision - 1)
    mantissa = np.rint(np.ldexp(magnitude, -quantum)).astype(np.int64)
    steps = (quantum - (spec.min_exponent - spec.precision + 1)).astype(np.int64)
    return steps * (1 << (spec.precision - 1)) + mantissa


def decode(code, fmt):
    spec = FORMATS[fmt]
    half = 1 << (spec.precision - 1)
    exponent, mantissa = code // half, code % half
    lowest = spec.min_exponent - spec.precision + 1
    subnormal = np.ldexp(mantissa.astype(float), lowest)
    normal = np.ldexp((mantissa + half).astype(float), np.maximum(exponent, 1) - 1 + lowest)
    return np.where(exponent == 0, subnormal, normal)


def round_to(y, fmt):
    y = np.asarray(y, float)
    return np.copysign(decode(encode(y, fmt), fmt), y)


def all_inputs(fmt, limit=60.0):
    """Every finite x of a 16-bit format with |x| < limit in increasing order, and the midpoints that bound its cell."""
    spec = FORMATS[fmt]
    count = (spec.max_exponent - spec.min_exponent + 2) * (1 << (spec.precision - 1))
    magnitude = decode(np.arange(count), fmt)
    x = np.concatenate([-magnitude[:0:-1], magnitude])
    x = x[np.abs(x) < limit]
    return x, np.concatenate([[-np.inf], (x[1:] + x[:-1]) / 2, [np.inf]])


def normal_mass(edges, sigma=1.0):
    """Mass of N(0, sigma^2) between successive edges, accurate in both tails."""
    z = edges / sigma
    return np.where(z[1:] < 0, ndtr(z[1:]) - ndtr(z[:-1]), ndtr(-z[:-1]) - ndtr(-z[1:]))
