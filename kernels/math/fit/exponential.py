"""Fits the exponential that the closed forms use on the host and writes exponential_coefficients.h; `--check` compares."""

import sys

import header
from forms import fit_exponential

if __name__ == "__main__":
    sys.exit(
        header.main_series(
            "exponential.py",
            "exponential_coefficients.h",
            "1 - e^-r near 0.",
            "ExponentialCoefficients",
            "P with 1 - e^-r = r P(r) on |r| <= ln 2 / 2",
            fit_exponential,
            lambda r, p: r * p,
        )
    )
