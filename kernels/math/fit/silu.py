"""Fits SiLU and writes silu_coefficients.h; `--check` only compares."""

import sys

import header
from forms import fit

if __name__ == "__main__":
    sys.exit(header.main("silu", "SiluCoefficients", fit))
