"""Fits GELU and writes gelu_coefficients.h; `--check` only compares."""

import sys

import header
from forms import fit

if __name__ == "__main__":
    sys.exit(header.main("gelu", "GeluCoefficients", fit))
