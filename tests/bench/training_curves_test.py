#!/usr/bin/env python3
"""What bench/training_curves.py says of invented losses: a claim fails where it should, and the picture is whole.

training_curves_test.py
"""

from __future__ import annotations

import math
import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import training_curves as curves  # noqa: E402  (found through the path above)


def variants(default: float = 0.0, exact: float = 0.0, exact_bytes: int = 1) -> dict[str, curves.Variant]:
    """Seeds whose final losses spread by 0.2; the rewrites' losses lie `default` (last step of one seed: times
    FINAL_STEPS) and `exact` (one early step of it) from the original's."""

    def losses(late: float, early: float) -> list[list[float]]:
        rows = [[1 + 0.1 * seed] * curves.STEPS for seed in curves.SEEDS]
        rows[1][7] += early
        rows[1][-1] += late * curves.FINAL_STEPS
        return rows

    return {
        "original": curves.Variant(pathlib.Path(), 2, losses(0.0, 0.0)),
        curves.NUDGED: curves.Variant(pathlib.Path(), 2, losses(0.0, 0.0)),
        "default": curves.Variant(pathlib.Path(), 1, losses(default, 0.0)),
        "exact": curves.Variant(pathlib.Path(), exact_bytes, losses(0.0, exact)),
    }


def held(**settings: float) -> list[bool]:
    """Of the claims: less kept, exact, default."""
    return [holds for holds, _ in curves.claims("net", variants(**settings))]


class ClaimsTest(unittest.TestCase):
    def test_all_hold_for_equal_losses(self) -> None:
        self.assertEqual(held(), [True, True, True])

    def test_one_unit_in_the_last_place_of_one_step_is_not_exact(self) -> None:
        self.assertEqual(held(exact=math.ulp(1.1)), [True, False, True])

    def test_a_loss_that_is_no_number_holds_no_claim(self) -> None:
        self.assertEqual(held(exact=math.nan, default=math.nan), [True, False, False])

    def test_default_may_differ_by_less_than_seeds_do(self) -> None:
        self.assertEqual(held(default=0.15), [True, True, True])
        self.assertEqual(held(default=0.25), [True, True, False])

    def test_a_copy_proves_nothing(self) -> None:
        self.assertEqual(held(exact_bytes=2), [False, True, True])


class PictureTest(unittest.TestCase):
    def test_draws_every_curve_and_every_step(self) -> None:
        root = ElementTree.fromstring(curves.picture({"net": variants(default=0.1)}))
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(len(root.findall(f"{space}polyline")), 3 * len(curves.SEEDS))
        dots = [path.get("d", "").count("M") for path in root.findall(f"{space}path[@class='dots']")]
        self.assertEqual([count for count in dots if count > 9], 3 * [len(curves.SEEDS) * curves.STEPS])

    def test_draws_losses_that_are_no_numbers(self) -> None:
        ElementTree.fromstring(curves.picture({"net": variants(default=math.nan)}))


if __name__ == "__main__":
    unittest.main()
