"""The four forms of f'(x) as a function of the stored output y and the branch, one per element type.

y* is the minimum of f; s = sqrt(y - y*), w = sqrt(ln(y* / y)). "Right" is x >= x*, "left" is x < x*.

float32   right s * P(s - c) / Q(s - c), left y * w * P(w) / Q(w): minimax, at the limit of the stored y
bfloat16  right P(s), left y * P(s), with a y0 of each branch's own in place of y*: conditional mean
float16   right P(s) / Q(s), left P(s) / Q(s), in the same way
float64   a series in signed s near the minimum; elsewhere the kernel solves f(x) = y
table.py has others for float32 and 16 bit, by a table of polynomials for both branches.

The conditional mean E[f' | stored y, branch] is what no estimator can beat; the 16-bit forms are fitted to it over every
input code of the format, under a mixture of normal densities that keeps the fit sane far from N(0, 1).
"""

import functools
from dataclasses import dataclass

import mpmath
import numpy as np
from activations import ACTIVATIONS, FORMATS, all_inputs, minimum, normal_mass, round_to
from fitting import chebyshev_basis, minimax, minimax_rational, rounding_amplification, to_monomials
from scipy.optimize import least_squares
from table import fit_sixteen_bit_table, fit_table

FLOAT32_DEGREES = (8, 4)
BFLOAT16_DEGREES = (9, 5)
FLOAT16_DEGREES = (5, 3)
SERIES_RADIUS = 0.09
SERIES_DEGREE = 16
ONE_WITHIN = 2.0**-12  # the 16-bit forms give 1 from where f' is within half of this of 1
MIXTURE_SIGMAS = (0.25, 0.5, 1, 1, 2, 4, 8)


def branch_grid(name, side, tolerance, count):
    """x on one branch, dense at both ends, out to where f' is within tolerance / 2 of its limit. Returns y, f', s."""
    activation, lowest = ACTIVATIONS[name], minimum(name)
    x_min, y_min = float(lowest.x), float(lowest.y)
    if side == "right":
        probe = np.linspace(0.5, 60, 60000)
        end = probe[np.abs(activation.derivative(probe) - 1) > tolerance / 2].max()
    else:
        probe = np.linspace(-60, x_min - 0.5, 60000)
        end = probe[np.abs(activation.derivative(probe)) > tolerance / 2].min()
    x = x_min + (end - x_min) * (1 - np.cos(np.linspace(0, np.pi, count))) / 2
    x = x[np.abs(x - x_min) > 1e-5]
    y, derivative = activation.evaluate(x)
    return y, derivative, np.sqrt(np.maximum(y - y_min, 1e-300))


def high_low(value, dtype):
    """An mpmath number as the sum of two numbers of the dtype."""
    high = dtype(float(value))
    return float(high), float(dtype(float(value - mpmath.mpf(float(high)))))


def distance_floor(name, fmt):
    """What replaces a smaller y - y*: the stored code at the minimum then returns the mean f' of its cell, not ~0."""
    y = minimum(name).y
    nearest = mpmath.mpf(float(round_to(float(y), fmt)))
    ulp = mpmath.mpf(2) ** (mpmath.floor(mpmath.log(-y, 2)) - FORMATS[fmt].precision + 1)
    return float((nearest + ulp / 2 - y) / 4)


def fit_float32(name):
    numerator, left_degree = FLOAT32_DEGREES
    tolerance = 2.0**-23
    y, derivative, s = branch_grid(name, "right", tolerance, 1500)
    s_max = s.max()
    right_error, p, q = minimax_rational(s, derivative, s, s_max, numerator, numerator)
    # A monomial rational in s amplifies a rounding 1000 times; in s - centre it is a handful.
    candidates = np.linspace(0, s_max, 41)
    gains = [
        rounding_amplification(to_monomials(p, 0, s_max, c), to_monomials(q, 0, s_max, c), s, c, s, derivative)
        for c in candidates
    ]
    centre = float(np.float32(candidates[int(np.argmin(gains))]))
    p, q = to_monomials(p, 0, s_max, centre), to_monomials(q, 0, s_max, centre)
    y, derivative, _ = branch_grid(name, "left", tolerance / 8, 1500)
    w = np.sqrt(np.log(float(minimum(name).y) / y))
    left_error, pl, ql = minimax_rational(w, derivative, y * w, w.max(), left_degree, left_degree)
    pl, ql = to_monomials(pl, 0, w.max()), to_monomials(ql, 0, w.max())
    return {
        "right_numerator": p / q[0],
        "right_denominator": q / q[0],
        "right_centre": centre,
        "right_end": float(s_max),
        "left_numerator": pl / ql[0],
        "left_denominator": ql / ql[0],
        "left_end": float(w.max()),
        "error": max(right_error, left_error),
    }


@dataclass(frozen=True)
class Cells:
    """Per reachable (stored y, branch): the inputs that share it, of which no estimator of f' can tell one from another."""

    y: np.ndarray
    left: np.ndarray
    mean: np.ndarray  # of f' under N(0, 1)
    mixture: np.ndarray  # mass under the mixture of MIXTURE_SIGMAS
    mass: np.ndarray  # under N(0, 1)
    variance: np.ndarray  # of f', times the mass
    lowest: np.ndarray  # f'
    highest: np.ndarray


@functools.cache
def cells(name, fmt):
    x, edges = all_inputs(fmt)
    exact, derivative = ACTIVATIONS[name].evaluate(x)
    y, left = round_to(exact, fmt), x < float(minimum(name).x)
    starts = np.flatnonzero(np.concatenate([[True], (y[1:] != y[:-1]) | (left[1:] != left[:-1])]))
    mass = normal_mass(edges)
    group = np.add.reduceat(mass, starts)
    mean = np.add.reduceat(mass * derivative, starts) / np.where(group > 0, group, 1)
    square = np.add.reduceat(mass * derivative**2, starts)
    lowest, highest = np.minimum.reduceat(derivative, starts), np.maximum.reduceat(derivative, starts)
    return Cells(
        y=y[starts],
        left=left[starts],
        mean=np.where(group > 1e-300, mean, (lowest + highest) / 2),
        mixture=np.add.reduceat(sum(normal_mass(edges, sigma) for sigma in MIXTURE_SIGMAS), starts),
        mass=group,
        variance=np.maximum(square - group * mean**2, 0),
        lowest=lowest,
        highest=highest,
    )


def fit_sixteen_bit(name, fmt, side, degree, rational):
    """Least squares to the conditional mean over (coefficients, y0): y0 runs over offsets of -0.75..0.85 ulp from RN(y*)."""
    codes = cells(name, fmt)
    chosen = (codes.left == (side == "left")) & (codes.mixture > 0)
    y, mean, weight = codes.y[chosen], codes.mean[chosen], np.sqrt(codes.mixture[chosen])
    y_min = float(minimum(name).y)
    ulp = 2.0 ** (np.frexp(-y_min)[1] - FORMATS[fmt].precision)
    right_end = branch_grid(name, "right", ONE_WITHIN, 50)[2].max()
    offsets = np.linspace(-0.75, 0.85, 33)[:: 3 if rational else 1]
    start, best = None, (np.inf,)
    for offset in offsets:
        y0 = float(round_to(y_min, fmt)) + offset * ulp
        s = np.minimum(np.sqrt(np.maximum(y - y0, 0)), right_end)
        high = right_end if side == "right" else np.sqrt(-y0)
        basis = chebyshev_basis(s, 0, high, degree)
        if rational:
            start = rational_start(name, side, high, degree) if start is None else start
            cost, p, q = fit_rational(basis, mean, weight, start, high)
        else:
            cost, p = fit_polynomial(basis * (y[:, None] if side == "left" else 1), mean, weight, high)
            q = None
        if cost < best[0]:
            best = (cost, y0, p, q)
    return {"y0": best[1], "numerator": best[2], "denominator": best[3], "end": float(right_end)}


def fit_polynomial(basis, target, weight, high):
    c = np.linalg.lstsq(basis * weight[:, None], target * weight, rcond=None)[0]
    return ((weight * (basis @ c - target)) ** 2).sum(), to_monomials(c, 0, high)


def rational_start(name, side, high, degree):
    _, derivative, s = branch_grid(name, side, ONE_WITHIN, 500)
    _, p, q = minimax_rational(s, derivative, np.ones_like(derivative), high, degree, degree, rounds=8)
    return np.append(p, q[1:])


def fit_rational(basis, target, weight, start, high):
    n = basis.shape[1]

    def residual(c):
        return weight * (basis @ c[:n] / (1 + basis[:, 1:] @ c[n:]) - target)

    solution = least_squares(residual, start, method="lm", max_nfev=300)
    p = to_monomials(solution.x[:n], 0, high)
    q = to_monomials(np.append(1, solution.x[n:]), 0, high)
    return 2 * solution.cost, p / q[0], q / q[0]


def fit_series(name):
    """f' as s * P(s) in signed s = sign(x - x*) sqrt(y - y*), |s| <= SERIES_RADIUS, from 50-digit inversion."""
    f, lowest = ACTIVATIONS[name].precise, minimum(name)
    rate = mpmath.sqrt(lowest.curvature / 2)
    count = SERIES_DEGREE + 1
    nodes = [SERIES_RADIUS * mpmath.cos(mpmath.pi * (k + mpmath.mpf(1) / 2) / count) for k in range(count)]
    nodes = [s if abs(s) > 1e-30 else mpmath.mpf("1e-3") for s in nodes]

    def derivative_at(s):
        x = lowest.x + s / rate
        for _ in range(60):
            step = (f(x) - lowest.y - s**2) / mpmath.diff(f, x)
            x -= step
            if abs(step) < mpmath.mpf(10) ** -40:
                break
        return mpmath.diff(f, x)

    matrix = mpmath.matrix(count, count)
    for i, s in enumerate(nodes):
        for j in range(count):
            matrix[i, j] = s**j
    solution = mpmath.lu_solve(matrix, mpmath.matrix([derivative_at(s) / s for s in nodes]))
    probe = [mpmath.mpf(k) / 50 * SERIES_RADIUS for k in range(-50, 51) if k]
    error = max(abs(s * mpmath.polyval(list(solution)[::-1], s) - derivative_at(s)) for s in probe)
    return {"coefficients": [float(c) for c in solution], "error": float(error)}


def float64_end(name):
    """y from which on f' is 1 to the last bit of a double."""
    x = np.linspace(1, 60, 100000)
    value, derivative = ACTIVATIONS[name].evaluate(x)
    return float(value[np.abs(derivative - 1) > 2.0**-53].max())


def fit_logarithm(degree=6):
    """P with ln(1 + r) ~ r + r^2 P(r) on [-1/3, 1/3]; returns (coefficients, absolute error)."""
    r = np.cos(np.linspace(0, np.pi, 801)) / 3
    r = r[np.abs(r) > 1e-4]
    c, _ = minimax(chebyshev_basis(r, -1 / 3, 1 / 3, degree) * r[:, None] ** 2, np.log1p(r) - r)
    p = to_monomials(c, -1 / 3, 1 / 3)
    return p, float(np.abs(np.log1p(r) - r - r**2 * np.polynomial.polynomial.polyval(r, p)).max())


def fit_exponential(degree=6):
    """P with 1 - e^-r ~ r P(r) on |r| <= ln 2 / 2; returns (coefficients, relative error)."""
    high = np.log(2) / 2
    r = high * np.cos(np.linspace(0, np.pi, 800))  # an even count: no node at 0
    target = -np.expm1(-r) / r
    c, _ = minimax(chebyshev_basis(r, -high, high, degree), target)
    p = to_monomials(c, -high, high)
    return p, float(np.abs(np.polynomial.polynomial.polyval(r, p) / target - 1).max())


def fit(name):
    """Everything that <name>'s coefficient struct holds."""
    bfloat16 = {s: fit_sixteen_bit(name, "bfloat16", s, d, False) for s, d in zip(("right", "left"), BFLOAT16_DEGREES)}
    float16 = {s: fit_sixteen_bit(name, "float16", s, d, True) for s, d in zip(("right", "left"), FLOAT16_DEGREES)}
    series = fit_series(name)

    def sixteen_bit_table(fmt):
        return fit_sixteen_bit_table(name, fmt, series["coefficients"], cells(name, fmt), ONE_WITHIN / 2)

    return {
        "float32": fit_float32(name),
        "table": fit_table(name, series["coefficients"]),
        "bfloat16": bfloat16,
        "float16": float16,
        "bfloat16_table": sixteen_bit_table("bfloat16"),
        "float16_table": sixteen_bit_table("float16"),
        "series": series,
        "float64_end": float64_end(name),
    }
