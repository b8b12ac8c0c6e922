"""Writes a *_coefficients.h, or compares a fresh fit with the one in the tree (`--check`).

A comparison of coefficients would fail on another BLAS for no reason, so `--check` compares what they compute: the
coefficients in the tree and the fresh ones are evaluated on a grid and must agree to the tolerance of their form.
"""

import argparse
import re
import textwrap
from pathlib import Path

import numpy as np
from activations import minimum
from forms import BFLOAT16_DEGREES, FLOAT16_DEGREES, FLOAT32_DEGREES, SERIES_RADIUS, distance_floor, high_low
from table import DEGREE as TABLE_DEGREE
from table import PLACES, SIXTEEN_BIT_DEGREE, places

HEADER_FOLDER = Path(__file__).resolve().parent.parent
# Both fits are optima of the same problem; what is left is the solver's own stopping error.
CHECK_TOLERANCE = {
    "float32": 2e-7,
    "float32 table": 2e-7,
    "bfloat16": 2e-4,
    "bfloat16 table": 2e-4,
    "float16": 1e-4,
    "float16 table": 1e-4,
    "float64": 1e-14,
}


def _float(value):
    return f"{np.format_float_scientific(np.float32(value), unique=True, trim='0')}f"


def _double(value):
    return np.format_float_scientific(np.float64(value), unique=True, trim="0")


def _scalar(kind, name, value):
    text = _float(value) if kind == "float" else _double(value)
    return [f"  static constexpr {kind} {name} = {text};"]


def polynomial(kind, name, coefficients):
    text = [_float(c) if kind == "float" else _double(c) for c in coefficients]
    head = f"  INVACT_HOST_DEVICE static constexpr Polynomial<{kind}, {len(text)}> {name}() {{"
    lines, line = [head], "    return {{"
    for i, item in enumerate(text):
        piece = item + (", " if i + 1 < len(text) else "}};")
        if len(line + piece) > 99:
            lines.append(line.rstrip())
            line = "             "
        line += piece
    return lines + [line, "  }"]


def array(name, values):
    lines = [f"  alignas(64) static constexpr float {name}[{len(values)}] = {{"]
    return lines + textwrap.wrap(", ".join(_float(v) for v in values) + "};", 95, initial_indent=" " * 6, subsequent_indent=" " * 6)


def first_at_least(value):
    """The smallest float32 that is not below an mpmath number: x < it says exactly x < value for every float32 x."""
    nearest = np.float32(float(value))
    return nearest if float(nearest) >= value else np.nextafter(nearest, np.float32(np.inf))


def _float32_struct(name, fit):
    y_high, y_low = high_low(minimum(name).y, np.float32)
    degrees, error = f"{FLOAT32_DEGREES[0]} and {FLOAT32_DEGREES[1]}", f"{fit['error']:.1e}"
    lines = [f"  /// Minimax, degrees {degrees}; worst error {error} of f' in exact arithmetic.", "  struct Float32 {"]
    body = _scalar("float", "kFirstRight", first_at_least(minimum(name).x))
    body += _scalar("float", "kMinimumYHigh", y_high) + _scalar("float", "kMinimumYLow", y_low)
    body += _scalar("float", "kInverseMagnitude", float(-1 / minimum(name).y))
    body += _scalar("float", "kDistanceFloor", distance_floor(name, "float32"))
    body += _scalar("float", "kRightCentre", fit["right_centre"]) + _scalar("float", "kRightEnd", fit["right_end"])
    body += _scalar("float", "kLeftEnd", fit["left_end"])
    for key in ("right_numerator", "right_denominator", "left_numerator", "left_denominator"):
        body += polynomial("float", key, fit[key])
    return lines + ["  " + line for line in body] + ["  };"]


def _table_struct(fit):
    lines = [f"  /// Pieces of degree {TABLE_DEGREE} (fit/table.py); worst error {fit['error']:.1e} of f' in exact arithmetic."]
    body = []
    for key in ("rate", "shift", "first", "last"):
        body += _scalar("float", f"k{key.capitalize()}", fit[key])
    body += array("kCentres", fit["centres"]) + array("kCoefficients", fit["coefficients"].T.ravel())
    return lines + ["  struct Float32Table {"] + ["  " + line for line in body] + ["  };"]


def _sixteen_bit_table_struct(title, fit):
    body = _scalar("float", "kOrigin", fit["origin"]) + _scalar("float", "kDistanceFloor", fit["distance_floor"])
    for key in ("rate", "shift", "first", "last"):
        body += _scalar("float", f"k{key.capitalize()}", fit[key])
    body += array("kCoefficients", fit["coefficients"].T.ravel())
    comment = f"Pieces of degree {SIXTEEN_BIT_DEGREE} (fit/table.py) to the conditional mean."
    return [f"  /// {comment}", f"  struct {title} {{"] + ["  " + line for line in body] + ["  };"]


def _sixteen_bit_struct(title, comment, fits):
    body = []
    for side, fit in fits.items():
        prefix = side.capitalize()
        body += _scalar("float", f"k{prefix}Origin", fit["y0"])
        body += polynomial("float", f"{side}_numerator", fit["numerator"])
        if fit["denominator"] is not None:
            body += polynomial("float", f"{side}_denominator", fit["denominator"])
    body += _scalar("float", "kRightEnd", fits["right"]["end"])
    return [f"  /// {comment}", f"  struct {title} {{"] + ["  " + line for line in body] + ["  };"]


def _float64_struct(name, fit):
    lowest = minimum(name)
    y_high, y_low = high_low(lowest.y, np.float64)
    lines = [f"  /// Series in signed s for |s| <= {SERIES_RADIUS}; worst error {fit['series']['error']:.0e} of f'."]
    body = _scalar("double", "kMinimumX", float(lowest.x))
    body += _scalar("double", "kMinimumYHigh", y_high) + _scalar("double", "kMinimumYLow", y_low)
    body += _scalar("double", "kCurvature", float(lowest.curvature))
    body += _scalar("double", "kDistanceFloor", distance_floor(name, "float64"))
    body += _scalar("double", "kSeriesRadius", SERIES_RADIUS)
    body += _scalar("double", "kRightEnd", fit["float64_end"])
    body += polynomial("double", "series", fit["series"]["coefficients"])
    return lines + ["  struct Float64 {"] + ["  " + line for line in body] + ["  };"]


def render_struct(name, struct, fit):
    degrees = f"{BFLOAT16_DEGREES[0]} and {BFLOAT16_DEGREES[1]}"
    lines = [f"struct {struct} {{"] + _float64_struct(name, fit) + [""] + _float32_struct(name, fit["float32"]) + [""]
    lines += _table_struct(fit["table"]) + [""]
    comment = f"Polynomials of degree {degrees} to the conditional mean."
    lines += _sixteen_bit_struct("BFloat16", comment, fit["bfloat16"]) + [""]
    lines += _sixteen_bit_table_struct("BFloat16Table", fit["bfloat16_table"])
    degrees = f"{FLOAT16_DEGREES[0]}/{FLOAT16_DEGREES[0]} and {FLOAT16_DEGREES[1]}/{FLOAT16_DEGREES[1]}"
    comment = f"Rationals of degree {degrees} to the conditional mean."
    lines += [""] + _sixteen_bit_struct("Float16", comment, fit["float16"])
    return lines + [""] + _sixteen_bit_table_struct("Float16Table", fit["float16_table"]) + ["};"]


def render_file(script, opening, structs):
    text = f"Generated by `python kernels/math/fit/{script}`; do not edit. " + " ".join(opening)
    lines = textwrap.wrap(text, 100, initial_indent="// ", subsequent_indent="// ", break_on_hyphens=False)
    lines += ["#pragma once", "", '#include "kernels/math/polynomial.h"', "", "namespace invact::kernels::math {", ""]
    for struct in structs:
        lines += struct + [""]
    return "\n".join(lines + ["}  // namespace invact::kernels::math", ""])


OPENING = [
    "f' as a function of the stored output y and the branch. fit/forms.py defines the forms, forms.h evaluates them;",
    "intervals: right branch from y* up to kRightEnd (f' = 1 beyond), left branch from y* to 0. The errors of the",
    "evaluated forms against the true f' are bounded by tests/kernels/activation/derivative_test.cpp.",
]


def parse(text):
    """{struct path: coefficients} of a header's text, by struct nesting; enough to evaluate the fits again."""
    found, path = {}, []
    pattern = r"struct (\w+) \{|^\s*\};|constexpr \S+ (k\w+) = (\S+?)f?;|(?:> (\w+)\(\) \{\s*return \{|(k\w+)\[\d+\] = )\{(.*?)\}"
    for match in re.finditer(pattern, text, re.M | re.S):
        if match[1]:
            path.append(match[1])
        elif match[2]:
            found["/".join([*path, match[2]])] = float(match[3])
        elif match[4] or match[5]:
            found["/".join([*path, match[4] or match[5]])] = [float(v.strip().rstrip("f")) for v in match[6].split(",")]
        else:
            path.pop()
    return found


def _table_values(get, q, struct, centres):
    """A table's polynomials at q, in q less the centre of each piece."""
    place = places(q, get(f"{struct}/kRate")) % PLACES
    coefficients = np.reshape(get(f"{struct}/kCoefficients"), (-1, PLACES))[:, place]
    return np.polynomial.polynomial.polyval(q - np.array(centres)[place], coefficients, tensor=False)


def _values(found, struct):
    """What the forms compute on a grid over each branch, by dtype."""
    polyval = np.polynomial.polynomial.polyval

    def get(key):
        return found[f"{struct}/{key}"]

    def ratio(key, v):
        return polyval(v, get(f"{key}_numerator")) / polyval(v, get(f"{key}_denominator"))

    y_min, values = get("Float64/kMinimumYHigh"), {}
    right = np.linspace(0, get("Float32/kRightEnd") * 0.999, 2000)
    z = right - get("Float32/kRightCentre")
    w = np.linspace(0, get("Float32/kLeftEnd") * 0.999, 2000)
    values["float32"] = np.concatenate([
        right * ratio("Float32/right", z),
        y_min * np.exp(-w * w) * w * ratio("Float32/left", w),
    ])
    # Dense near the first piece.
    q = np.geomspace(get("Float32Table/kFirst"), get("Float32Table/kLast"), 4000)
    values["float32 table"] = _table_values(get, q, "Float32Table", get("Float32Table/kCentres"))
    for title, dtype in (("BFloat16", "bfloat16"), ("Float16", "float16")):
        parts, table_parts = [], []
        table = f"{title}Table"
        for side, y in (("right", y_min + right**2), ("left", np.linspace(y_min, 0, 2000))):
            away = np.abs(y - y_min) > 1e-3
            root = np.sqrt(np.maximum(y - get(f"{table}/kOrigin"), get(f"{table}/kDistanceFloor"))) * (-1 if side == "left" else 1)
            q = np.clip(root + get(f"{table}/kShift"), get(f"{table}/kFirst"), get(f"{table}/kLast"))
            table_parts.append(_table_values(get, q[away], table, np.zeros(PLACES)))
            origin = get(f"{title}/k{side.capitalize()}Origin")
            s = np.minimum(np.sqrt(np.maximum(y - origin, 0)), get(f"{title}/kRightEnd"))
            value = polyval(s, get(f"{title}/{side}_numerator"))
            if dtype == "float16":
                value = value / polyval(s, get(f"{title}/{side}_denominator"))
            elif side == "left":
                value = value * y
            parts.append(value[away])
        values[dtype], values[f"{dtype} table"] = np.concatenate(parts), np.concatenate(table_parts)
    s = np.linspace(-SERIES_RADIUS, SERIES_RADIUS, 200)
    values["float64"] = s * polyval(s, get("Float64/series"))
    return values


def check(fresh, path, struct):
    """Names of the forms whose value differs between the header in the tree and a fresh fit."""
    old_values, new_values, problems = _values(parse(path.read_text()), struct), _values(parse(fresh), struct), []
    for dtype, tolerance in CHECK_TOLERANCE.items():
        difference = np.abs(old_values[dtype] - new_values[dtype]).max()
        print(f"{path.name} {dtype}: largest difference {difference:.1e}, allowed {tolerance:.0e}")
        if not difference <= tolerance:
            problems.append(dtype)
    return problems


def main(name, struct, fit):
    """Entry point of <name>.py, which writes <name>_coefficients.h; `struct`: its name in C++."""
    script, file_name = f"{name}.py", f"{name}_coefficients.h"
    parser = argparse.ArgumentParser(description=f"Fit {name} and write {file_name}.")
    parser.add_argument("--check", action="store_true", help="compare with the header in the tree; write nothing")
    arguments = parser.parse_args()
    text = render_file(script, OPENING, [render_struct(name, struct, fit(name))])
    path = HEADER_FOLDER / file_name
    if not arguments.check:
        path.write_text(text)
        return 0
    problems = check(text, path, struct)
    if problems:
        print(f"{file_name} differs from a fresh fit: {', '.join(problems)}. Run {script} and review the change.")
    return 1 if problems else 0


def main_series(script, file_name, opening, struct, comment, fit, evaluate):
    """Entry point for one polynomial in r: `fit() -> (coefficients, error)`, `evaluate(r, P(r))` is what uses it."""
    parser = argparse.ArgumentParser(description=f"Fit {struct} and write {file_name}.")
    parser.add_argument("--check", action="store_true", help="compare with the header in the tree; write nothing")
    arguments = parser.parse_args()
    coefficients, error = fit()
    lines = [f"/// {comment}; worst error {error:.1e} in exact arithmetic.", f"struct {struct} {{"]
    text = render_file(script, [opening], [lines + polynomial("float", "series", coefficients) + ["};"]])
    path = HEADER_FOLDER / file_name
    if not arguments.check:
        path.write_text(text)
        return 0
    r = np.linspace(-1 / 3, 1 / 3, 1000)
    old, new = (
        evaluate(r, np.polynomial.polynomial.polyval(r, parse(t)[f"{struct}/series"])) for t in (path.read_text(), text)
    )
    difference = np.abs(old - new).max()
    print(f"{file_name}: largest difference {difference:.1e}, allowed 1e-08")
    return 0 if difference <= 1e-8 else 1
