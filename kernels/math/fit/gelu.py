"""Fits GELU, both values of `approximate`, and writes gelu_coefficients.h; `--check` only compares."""

import sys

import header
from forms import fit

if __name__ == "__main__":
    structs = {"gelu": "GeluCoefficients", "gelu_tanh": "GeluTanhCoefficients"}
    sys.exit(header.main("gelu.py", "gelu_coefficients.h", structs, fit))
