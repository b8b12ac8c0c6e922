"""f' by a table of polynomials, for processors that look up one of 32 numbers in an instruction (table_form.h).

r = sqrt(y - y*), negative on the left branch, is one variable for both branches: f' is smooth in it across y*. Its
singularities are one at y = 0 of the left branch and complex ones beside the right branch, so that pieces should be short
near the first and of even length elsewhere. With q = r + K, which is 2^FIRST_EXPONENT at y = -0, a piece is what shares the
exponent of q and the integer nearest to k q: the sum of both modulo 32 is its place in the table. The first piece is zero at
y = -0, the last one is 1 and holds every y from where f' is.

16 bit has parabolas in q itself, fitted to the conditional mean (forms.py).
Which q the few codes beside the minimum get decides how well they fit: y0 near y* stands in place of y*, and y - y0 has a floor.
"""

import numpy as np
from activations import ACTIVATIONS, FORMATS, minimum
from fitting import chebyshev_basis, minimax, to_monomials

PLACES = 32
DEGREE = 5
# Each as the error of its pieces asks for.
FIRST_EXPONENT = {"gelu": -14, "gelu_tanh": -15, "silu": -11, "mish": -11, "quick_gelu": -12}
NODES = 160
EXPONENT_BIAS = 127
ONE_WITHIN = 2.0**-24
SERIES_RADIUS = 0.01
RATE_STEP = 1 / 16
CUT_DISTANCE = 1e-4
SIXTEEN_BIT_DEGREE = 2
SIXTEEN_BIT_NODES = 8
# Against the mass of the codes: decides where there are none, or fewer than a parabola has coefficients.
SMOOTHNESS = 1e-9
# What a 16-bit table is chosen from: exponents of its first piece, y0 - y* and floors in ulp.
SIXTEEN_BIT_FIRST_EXPONENTS = (-8, -7, -6, -5)
ORIGIN_OFFSETS = np.linspace(-0.6, 0.6, 13)
FLOORS = (0, 0.05, 0.1, 0.2)


def places(q, rate):
    """As the kernel computes them, before the remainder by PLACES."""
    return np.frexp(q)[1] - 1 + EXPONENT_BIAS + np.rint(q * rate).astype(int)


def right_end(name, one_within=ONE_WITHIN):
    """The smallest root from which on f' is 1."""
    activation, lowest = ACTIVATIONS[name], minimum(name)
    x = np.linspace(0.5, 60, 1 << 20)
    y, derivative = activation.evaluate(x)
    return float(np.sqrt(y[np.abs(derivative - 1) > one_within].max() - float(lowest.y)))


def input_of(name, y, left):
    """x with f(x) = y by bisection; y > y* by more than rounding."""
    activation, x_min = ACTIVATIONS[name], float(minimum(name).x)
    low = np.where(left, -700.0, x_min)
    high = np.where(left, x_min, 80.0)
    for _ in range(80):
        middle = (low + high) / 2
        is_low = (activation.value(middle) > y) == left
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


def derivative_of_root(name, root, series):
    """f' by the signed root, from the float64 series near 0."""
    lowest = minimum(name)
    end = float(np.sqrt(-float(lowest.y)))
    root = np.maximum(root, -end)
    y = (root - end) * (root + end)
    far = ACTIVATIONS[name].derivative(input_of(name, y, root < 0))
    far = np.where(y == 0, np.where(root < 0, 0.0, far), far)
    near = root * np.polynomial.polynomial.polyval(root, series)
    return np.where(np.abs(root) < SERIES_RADIUS, near, far)


def cuts_behind(first, rate):
    """Where one piece ends and the next begins, in order."""
    octaves = [2.0**e for e in range(int(np.log2(first)) + 1, 5)]
    return np.sort([c for c in octaves + [(n + 0.5) / rate for n in range(int(20 * rate))] if c > first])


def pieces(first, end, rate):
    """The ends of the pieces from `first` on, the last one not before `end`.

    None where two cuts are one: the place between them would have no piece, but a rounding could lead to it.
    """
    after = cuts_behind(first, rate)
    ends = np.append(first, after[: np.searchsorted(after, end) + 1])
    return ends if (np.diff(ends) > CUT_DISTANCE * ends[1:]).all() else None


def highest_rate(first, end):
    """The rate whose pieces fill the table, but for the place that is 1. Returns (cuts, rate)."""
    rates = np.arange(1, 16, RATE_STEP)
    fitting = [(cuts, rate) for rate in rates if (cuts := pieces(first, end, rate)) is not None and len(cuts) <= PLACES]
    return fitting[-1]


def fit_table(name, series):
    lowest = minimum(name)
    high = np.float32(float(lowest.y))
    low = np.float32(float(lowest.y - float(high)))
    # The kernel's root at y = -0, in its own arithmetic: there q is 2^first_exponent to the last bit.
    root_at_zero = float(np.sqrt((np.float32(0) - high) - low))
    first = 2.0 ** FIRST_EXPONENT[name]
    shift = root_at_zero + first
    assert float(np.float32(shift)) == shift
    end = right_end(name) + shift
    cuts, rate = highest_rate(first, end)
    coefficients = np.zeros((PLACES, DEGREE + 1))
    centres = np.zeros(PLACES)
    worst = 0.0
    for i, (a, b) in enumerate(zip(cuts[:-1], cuts[1:])):
        q = (a + b) / 2 + (b - a) / 2 * np.cos(np.pi * np.arange(NODES) / (NODES - 1))
        centre = float(np.float32(a if i == 0 else (a + b) / 2))
        derivative = derivative_of_root(name, q - shift, series)
        basis = chebyshev_basis(q, a, b, DEGREE)
        if i == 0:  # zero at its left end
            basis = (basis * (q - a)[:, None])[:, :-1]
        c, error = minimax(basis, derivative)
        c = to_monomials(c, a, b, centre)
        place = places((a + b) / 2, rate) % PLACES
        assert not coefficients[place].any()
        coefficients[place] = np.append(0.0, c) if i == 0 else c
        centres[place] = centre
        worst = max(worst, error)
    # One from the last cut on; q is cut to the middle of that piece.
    last = cuts[-1] + 0.25 / rate
    place = places(last, rate) % PLACES
    assert not coefficients[place].any()
    coefficients[place, 0] = 1.0
    centres[place] = float(np.float32(last))
    return {
        "rate": float(rate),
        "shift": shift,
        "first": first,
        "last": float(np.float32(last)),
        "centres": centres,
        "coefficients": coefficients,
        "error": worst,
    }



def fit_sixteen_bit_table(name, fmt, series, cells, one_within):
    """`cells`: forms.cells() of the format; f' is 1 from where it is within `one_within` of it.

    Of all that it tries, what exceeds the limits of the stored y least, in rms or in the largest error, whichever is worse.
    """
    y_min = float(minimum(name).y)
    ulp = 2.0 ** (np.frexp(-y_min)[1] - FORMATS[fmt].precision)
    end = right_end(name, one_within)
    fits = [
        fit_parabolas(name, 2.0**exponent, float(np.float32(y_min + offset * ulp)), floor * ulp, end, series, cells)
        for exponent in SIXTEEN_BIT_FIRST_EXPONENTS
        for offset in ORIGIN_OFFSETS
        for floor in FLOORS
    ]
    return min(fits, key=lambda fit: fit["excess"])


def fit_parabolas(name, first, origin, floor, end, series, cells):
    """Least squares to the conditional means, piece by piece; `origin` stands in place of y*."""
    shift = float(np.float32(np.sqrt(-origin) + first))
    cuts, rate = highest_rate(first, end + shift)
    # The place that is 1 has the piece behind the last cut.
    last = float(np.float32((cuts[-1] + cuts_behind(cuts[-1] * (1 + CUT_DISTANCE), rate)[0]) / 2))
    root = np.sqrt(np.maximum(cells.y - origin, floor)) * np.where(cells.left, -1, 1)
    q = np.clip(root + shift, first, last)
    place_of_cell = places(q, rate) % PLACES
    coefficients = np.zeros((PLACES, SIXTEEN_BIT_DEGREE + 1))
    coefficients[places(last, rate) % PLACES, 0] = 1.0
    on_unit = np.cos(np.pi * (np.arange(SIXTEEN_BIT_NODES) + 0.5) / SIXTEEN_BIT_NODES)
    all_nodes = (cuts[:-1] + cuts[1:])[:, None] / 2 + np.diff(cuts)[:, None] / 2 * on_unit
    all_derivatives = derivative_of_root(name, all_nodes - shift, series)
    for a, b, nodes, derivatives in zip(cuts[:-1], cuts[1:], all_nodes, all_derivatives):
        place = places((a + b) / 2, rate) % PLACES
        if coefficients[place].any():  # two cuts behind the last piece nearly coincide: the place that is 1 is taken
            return {"excess": np.inf}
        chosen = (place_of_cell == place) & (cells.mixture > 0)
        masses = np.append(cells.mixture[chosen], np.full(SIXTEEN_BIT_NODES, SMOOTHNESS / SIXTEEN_BIT_NODES))
        weight = np.sqrt(masses)
        target = np.append(cells.mean[chosen], derivatives)
        arguments = np.append(q[chosen], nodes)
        factor = [-first, 1.0] if a == first else [1.0]  # zero at y = -0
        basis = chebyshev_basis(arguments, a, b, SIXTEEN_BIT_DEGREE + 1 - len(factor))
        basis *= np.polynomial.polynomial.polyval(arguments, factor)[:, None]
        c = np.linalg.lstsq(basis * weight[:, None], target * weight, rcond=None)[0]
        coefficients[place] = np.convolve(to_monomials(c, a, b), factor)
    value = np.polynomial.polynomial.polyval(q, coefficients[place_of_cell].T, tensor=False)
    rms = np.sqrt(1 + (cells.mass * (value - cells.mean) ** 2).sum() / cells.variance.sum())
    half_width = (cells.highest - cells.lowest).max() / 2
    largest = np.maximum(value - cells.lowest, cells.highest - value).max() / half_width
    return {
        "origin": origin,
        "distance_floor": floor,
        "rate": float(rate),
        "shift": shift,
        "first": first,
        "last": last,
        "coefficients": coefficients,
        "excess": max(rms, largest) - 1,
    }
