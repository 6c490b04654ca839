"""Small plots: where a value stands on the height."""

from __future__ import annotations

import re

from omc_infra.plot import HEIGHT, MARGIN, svg_line


def heights(svg: str) -> list[float]:
    points = re.search(r'points="([^"]+)"', svg)
    assert points
    return [float(point.split(",")[1]) for point in points[1].split()]


def test_a_perfect_score_is_drawn_at_the_top_of_its_scale() -> None:
    assert heights(svg_line([1.0, 1.0, 1.0], bounds=(0.0, 1.0))) == [MARGIN] * 3


def test_equal_values_without_a_scale_are_drawn_in_the_middle() -> None:
    assert heights(svg_line([7.0, 7.0])) == [HEIGHT / 2] * 2


def test_the_lowest_value_is_at_the_bottom_and_the_highest_at_the_top() -> None:
    assert heights(svg_line([1.0, 3.0])) == [HEIGHT - MARGIN, MARGIN]
