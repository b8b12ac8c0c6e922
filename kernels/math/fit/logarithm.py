"""Fits the logarithm that the float32 forms use on the host and writes logarithm_coefficients.h; `--check` compares."""

import sys

import header
from forms import fit_logarithm

if __name__ == "__main__":
    sys.exit(
        header.main_series(
            "logarithm.py",
            "logarithm_coefficients.h",
            "The natural logarithm near 1.",
            "LogarithmCoefficients",
            "P with ln(1 + r) = r + r^2 P(r) on |r| <= 1/3",
            fit_logarithm,
            lambda r, p: r + r**2 * p,
        )
    )
