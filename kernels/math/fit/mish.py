"""Fits Mish and writes mish_coefficients.h; `--check` only compares."""

import sys

import header
from forms import fit

if __name__ == "__main__":
    sys.exit(header.main("mish", "MishCoefficients", fit))
