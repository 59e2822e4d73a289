"""Where charts put things, worked out by hand."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mmpl.report.charts import (
    BAR,
    Frame,
    band_path,
    effect_bar,
    effect_span,
    heat_scale,
    member_dots,
    probability_bar,
    step_path,
    survival_chart,
    survival_frame,
)

DAYS = 365.25
CURVE = {
    "days": [DAYS, 2 * DAYS, 3 * DAYS, 4 * DAYS],
    "survival": [0.8, 0.5, 0.4, None],
    "members_low": [0.7, 0.4, 0.3, None],
    "members_high": [0.9, 0.6, 0.5, None],
}
FRAME = Frame(left=50, top=10, width=500, height=200, x_max=5)


def test_half_survival_at_two_years():
    assert FRAME.x(2) == 250  # 50 + 500 * 2 / 5
    assert FRAME.y(0.5) == 110  # 10 + 200 - 200 * 0.5


def test_steps_hold_until_the_next_day_and_stop_at_the_last_known_one():
    assert step_path(FRAME, CURVE) == "M50.0,10.0H150.0V50.0H250.0V110.0H350.0V130.0"


def test_band_goes_out_along_the_maximum_and_back_along_the_minimum():
    points = re.findall(r"([\d.]+),([\d.]+)", band_path(FRAME, CURVE))
    upper = [("50.0", "10.0"), ("150.0", "10.0"), ("150.0", "30.0"), ("250.0", "30.0"), ("250.0", "90.0")]
    assert points[:5] == upper
    assert points[7] == ("350.0", "150.0")  # minimum 0.3 at the last day: 210 - 60
    assert points[-1] == ("50.0", "10.0")


def test_frame_spans_five_years_or_more():
    assert survival_frame(CURVE).x_max == 5
    late = {key: [value] for key, value in zip(CURVE, (7.2 * DAYS, 0.4, 0.3, 0.5), strict=True)}
    assert survival_frame(CURVE, late).x_max == 8


def test_survival_chart_says_what_it_shows():
    svg = survival_chart(CURVE, time_zero="end of <RT>", before=CURVE)
    text = " ".join(ElementTree.fromstring(svg).itertext()).replace("\u00a0", " ")
    assert "Years since end of <RT>" in text
    assert "members' minimum and maximum, not a confidence interval" in text
    assert "no estimate after 3.0 years: last training event" in text
    assert "from 100 % to 40 % at 3.0 years" in text
    assert svg.count('class="curve curve-before"') == 2  # the curve and its key
    assert "curve-before" not in survival_chart(CURVE, time_zero="diagnosis")


def test_beyond_the_last_event_is_greyed_to_the_edge():
    svg = ElementTree.fromstring(survival_chart(CURVE, time_zero="diagnosis"))
    (rect,) = [e for e in svg.iter("rect") if e.get("class") == "beyond"]
    frame = survival_frame(CURVE)
    assert float(rect.get("x")) == pytest.approx(frame.x(3), abs=0.05)
    assert float(rect.get("x")) + float(rect.get("width")) == pytest.approx(frame.right, abs=0.1)


def test_curve_without_any_known_value_still_draws_its_axes():
    empty = {"days": [1.0], "survival": [None], "members_low": [None], "members_high": [None]}
    text = " ".join(ElementTree.fromstring(survival_chart(empty, time_zero="diagnosis")).itertext())
    assert "No survival value is known" in text


def test_probability_bar_fill_and_ticks():
    svg = ElementTree.fromstring(probability_bar(0.75, threshold=0.5, members=(0.7, 0.8), before=0.6))
    by_class = {e.get("class"): e for e in svg.iter() if e.tag in ("rect", "line")}
    assert float(by_class["fill"].get("width")) == 495  # 0.75 * 660
    assert float(by_class["threshold"].get("x1")) == 350  # 20 + 660 / 2
    ticks = [e for e in svg.iter("line") if e.get("class") == "before-tick"]
    assert float(ticks[0].get("x1")) == 416  # 20 + 660 * 0.6


def test_members_that_would_hide_one_another_are_stacked():
    dots = member_dots([0.5, 0.5, 0.9])
    assert [x for x, _ in dots] == [BAR.x(0.5), BAR.x(0.5), BAR.x(0.9)]
    assert dots[1][1] > dots[0][1] == dots[2][1]
    crowd = member_dots([0.5] * 10)
    assert len(set(crowd)) == 10
    assert max(y for _, y in crowd) <= BAR.bottom + 40


def test_effect_bars_diverge_from_the_middle():
    assert effect_span(0.2, 0.4) == (120, 59)  # half of the 118 that half the width leaves
    assert effect_span(-0.4, 0.4) == (2, 118)
    assert effect_span(0.0, 0.0) == (120, 0)
    assert 'class="blue"' in effect_bar(0.2, largest=0.4)
    assert 'class="amber"' in effect_bar(-0.2, largest=0.4)
    assert 'class="amber"' in effect_bar(0.2, largest=0.4, colors=("blue", "amber"))


def test_heat_scale_runs_from_black_to_white():
    fills = re.findall(r'fill="(#\w+)"', heat_scale(10.0))
    assert (fills[0], fills[-1]) == ("#000000", "#ffffff")
