"""Minimax and least-squares fits: linear and rational forms, in a Chebyshev basis, returned as monomial coefficients."""

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy.optimize import linprog


def chebyshev_basis(x, low, high, degree):
    return np.polynomial.chebyshev.chebvander((2 * x - low - high) / (high - low), degree)


def to_monomials(coefficients, low, high, centre=0.0):
    """Chebyshev coefficients on [low, high] as monomials in x - centre."""
    polynomial = Chebyshev(coefficients, domain=[low, high]).convert(kind=Polynomial)
    return polynomial(Polynomial([centre, 1])).coef


def minimax(basis, target, lower_basis=None, lower_bound=None):
    """Coefficients c minimising max |basis c - target|, optionally with lower_basis c >= lower_bound.

    The linear programme solves for the correction to the least-squares fit, scaled by its residual, so that it
    converges to 1e-8 of the error instead of 1e-8 of the function. Returns (c, error).
    """
    start = np.linalg.lstsq(basis, target, rcond=None)[0]
    residual = target - basis @ start
    scale = np.abs(residual).max()
    if scale == 0:
        return start, 0.0
    q, r = np.linalg.qr(basis)
    norm, n = np.sqrt(len(target)), q.shape[1]
    rows = np.hstack([np.vstack([q, -q]) * norm, -np.ones((2 * len(target), 1))])
    bound = np.concatenate([residual, -residual]) / scale
    if lower_basis is not None:
        constraint = np.linalg.solve(r.T, lower_basis.T).T * norm * scale
        rows = np.vstack([rows, np.hstack([-constraint, np.zeros((len(lower_bound), 1))])])
        bound = np.concatenate([bound, lower_basis @ start - lower_bound])
    solution = linprog(
        np.append(np.zeros(n), 1), A_ub=rows, b_ub=bound, bounds=[(None, None)] * n + [(0, None)], method="highs"
    )
    best = start
    if solution.status == 0:
        better = start + np.linalg.solve(r, solution.x[:n] * norm * scale)
        if lower_basis is not None or np.abs(target - basis @ better).max() < scale:
            best = better
    return best, np.abs(target - basis @ best).max()


def minimax_rational(x, target, factor, high, numerator_degree, denominator_degree, rounds=14):
    """target ~ factor * P(x) / Q(x) on [0, high] with Q > 0.02: a linear programme on the last round's denominator.

    Returns (error, P, Q) with Chebyshev coefficients on [0, high].
    """
    numerator = chebyshev_basis(x, 0, high, numerator_degree) * factor[:, None]
    denominator = chebyshev_basis(x, 0, high, denominator_degree)
    sparse = slice(None, None, max(1, len(x) // 150))
    positive = np.hstack([np.zeros((len(x[sparse]), numerator_degree + 1)), denominator[sparse][:, 1:]])
    bound = np.full(len(x[sparse]), 0.02 - 1)
    q = np.append(1.0, np.zeros(denominator_degree))
    best = (np.inf, None, None)
    for _ in range(rounds):
        weight = np.maximum(denominator @ q, 1e-3)
        basis = np.hstack([numerator, -target[:, None] * denominator[:, 1:]]) / weight[:, None]
        c, _ = minimax(basis, target / weight, positive, bound)
        p, q = c[: numerator_degree + 1], np.append(1, c[numerator_degree + 1 :])
        value = denominator @ q
        if (value > 0).all():
            error = np.abs(target - (numerator @ p) / value).max()
            if error < best[0]:
                best = (error, p, q)
    return best


def rounding_amplification(p, q, x, centre, factor, target):
    """How much a Horner evaluation of factor * P/Q in x - centre amplifies one rounding of a coefficient."""
    z = np.abs(x - centre)
    value = np.abs(np.polynomial.polynomial.polyval(x - centre, q))
    p_sum = sum(abs(c) * z**i for i, c in enumerate(p))
    q_sum = sum(abs(c) * z**i for i, c in enumerate(q))
    return ((p_sum * np.abs(factor) + np.abs(target) * q_sum) / value).max()
