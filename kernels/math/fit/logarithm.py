"""Fits the logarithm that the float32 forms use on the host and writes logarithm_coefficients.h; `--check` compares."""

import argparse
import sys

import header
import numpy as np
from forms import fit_logarithm


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the header in the tree; write nothing")
    arguments = parser.parse_args()
    coefficients, error = fit_logarithm()
    struct = [f"/// P with ln(1 + r) = r + r^2 P(r) on |r| <= 1/3; worst error {error:.1e} in exact arithmetic."]
    struct += ["struct LogarithmCoefficients {", *header.polynomial("float", "tail", coefficients), "};"]
    text = header.render_file("logarithm.py", ["The natural logarithm near 1."], [struct])
    path = header.HEADER_FOLDER / "logarithm_coefficients.h"
    if not arguments.check:
        path.write_text(text)
        return 0
    r = np.linspace(-1 / 3, 1 / 3, 1000)
    key = "LogarithmCoefficients/tail"
    old, new = (np.polynomial.polynomial.polyval(r, header.parse(t)[key]) for t in (path.read_text(), text))
    difference = np.abs(r**2 * (old - new)).max()
    print(f"logarithm_coefficients.h: largest difference {difference:.1e}, allowed 1e-08")
    return 0 if difference <= 1e-8 else 1


if __name__ == "__main__":
    sys.exit(main())
