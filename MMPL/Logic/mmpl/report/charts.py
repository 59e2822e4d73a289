"""Charts as inline SVG text: no library, no script; colours come from the page's style sheet by class.

Every chart has a title and a description for screen readers; dashes, not colour alone, tell curves apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mmpl.report.slices import hot
from mmpl.report.text import NBSP, escape, percent, years

DAYS_PER_YEAR = 365.25
BAND_NOTE = "members' minimum and maximum, not a confidence interval"


@dataclass(frozen=True)
class Frame:
    """The plot rectangle, in SVG units, and the values at its edges (both axes start at 0).

    Attributes
    ----------
    left, top, width, height : SVG units
    x_max, y_max : value at the right and at the top edge
    """

    left: float
    top: float
    width: float
    height: float
    x_max: float
    y_max: float = 1.0

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        return self.left + self.width * value / self.x_max

    def y(self, value: float) -> float:
        return self.bottom - self.height * value / self.y_max


# --- recurrence-free survival -------------------------------------------------------------------------


def survival_frame(*curves: dict | None) -> Frame:
    """A frame of at least five years that holds all the curves."""
    last = max((_known(curve)[-1][0] for curve in curves if curve and _known(curve)), default=0.0)
    return Frame(left=54, top=16, width=550, height=250, x_max=max(5, math.ceil(last / DAYS_PER_YEAR)))


def survival_chart(curve: dict, *, time_zero: str, before: dict | None = None) -> str:
    """Step curve of recurrence-free survival with the members' band.

    Parameters
    ----------
    curve : "rfs.curve" of the results: days, survival, members_low, members_high; null beyond the last
        training event. Each value holds from its day until the next one; before the first it is 1.
    time_zero : what the years are counted from
    before : the same for the model's own contours, drawn dashed and without a band; or None

    Returns
    -------
    str : an svg element
    """
    frame = survival_frame(curve, before)
    parts = [_survival_axes(frame, time_zero)]
    last_day = _known(curve)[-1][0] if _known(curve) else 0.0
    parts.append(_beyond(frame, last_day))
    parts.append(f'<path class="band" d="{band_path(frame, curve)}"/>')
    if before:
        parts.append(f'<path class="curve curve-before" d="{step_path(frame, before)}"/>')
    parts.append(f'<path class="curve" d="{step_path(frame, curve)}"/>')
    parts.append(_end_marker(frame, curve))
    parts.append(_survival_legend(frame, before is not None))
    height = 362 if before else 342
    description = _survival_description(curve, time_zero)
    return svg_element(630, height, "Recurrence-free survival", description, "".join(parts))


def step_path(frame: Frame, curve: dict) -> str:
    """SVG path of the survival steps, from 100 % at time zero to the last known day."""
    return _steps(frame, [(day, survival) for day, survival, _, _ in _known(curve)])


def band_path(frame: Frame, curve: dict) -> str:
    """Closed SVG path between the members' minimum and maximum."""
    rows = _known(curve)
    upper = _step_points([(day, high) for day, _, _, high in rows])
    lower = _step_points([(day, low) for day, _, low, _ in rows])
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in [*upper, *reversed(lower)])
    return f"M{points}Z"


def _known(curve: dict) -> list[tuple[float, float, float, float]]:
    rows = zip(curve["days"], curve["survival"], curve["members_low"], curve["members_high"], strict=True)
    return [row for row in rows if None not in row]


def _step_points(rows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """(years, value) corners of a right-continuous step curve that starts at (0, 1)."""
    points = [(0.0, 1.0)]
    for day, value in rows:
        points += [(day / DAYS_PER_YEAR, points[-1][1]), (day / DAYS_PER_YEAR, value)]
    return points


def _steps(frame: Frame, rows: list[tuple[float, float]]) -> str:
    commands = [f"M{frame.x(0):.1f},{frame.y(1):.1f}"]
    for day, value in rows:
        commands.append(f"H{frame.x(day / DAYS_PER_YEAR):.1f}V{frame.y(value):.1f}")
    return "".join(commands)


def _survival_axes(frame: Frame, time_zero: str) -> str:
    parts = []
    for tenth in range(0, 11, 2):
        y = frame.y(tenth / 10)
        parts.append(draw_line("grid", frame.left, y, frame.right, y))
        parts.append(draw_text(frame.left - 8, y + 4, f"{10 * tenth}{NBSP}%", "tick", "end"))
    step = 1 if frame.x_max <= 10 else 2
    for year in range(0, int(frame.x_max) + 1, step):
        x = frame.x(year)
        parts.append(draw_line("axis", x, frame.bottom, x, frame.bottom + 5))
        parts.append(draw_text(x, frame.bottom + 19, str(year), "tick", "middle"))
    parts.append(draw_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    middle = (frame.left + frame.right) / 2
    parts.append(draw_text(middle, frame.bottom + 40, f"Years since {time_zero}", "axis-title", "middle"))
    return "".join(parts)


def _beyond(frame: Frame, last_day: float) -> str:
    """The stretch where nothing is known, greyed."""
    start = frame.x(last_day / DAYS_PER_YEAR)
    if frame.right - start < 1:
        return ""
    return draw_rect("beyond", start, frame.top, frame.right - start, frame.height)


def _end_marker(frame: Frame, curve: dict) -> str:
    rows = _known(curve)
    if not rows:
        return ""
    day, survival = rows[-1][:2]
    x, y = frame.x(day / DAYS_PER_YEAR), frame.y(survival)
    beside = frame.right - x > 215
    text_y = frame.bottom - 12 if survival > 0.25 else frame.top + 18
    text = f"no estimate after {years(day)}: last training event"
    return (
        draw_line("end", x, frame.top, x, frame.bottom)
        + f'<circle class="end-dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        + draw_text(x + 7 if beside else x - 7, text_y, text, "mark", "start" if beside else "end")
    )


def _survival_legend(frame: Frame, corrected: bool) -> str:
    y = frame.bottom + 66
    x = frame.left
    items = [("curve", "corrected contours" if corrected else "ensemble mean", 130)]
    if corrected:
        items.append(("curve curve-before", "model's contours", 130))
    parts = []
    for name, label, width in items:
        parts.append(draw_line(name, x, y - 4, x + 26, y - 4) + draw_text(x + 33, y, label, "tick", "start"))
        x += 40 + width
    x, y = (frame.left, y + 20) if corrected else (x, y)
    parts.append(f'<rect class="band" x="{x}" y="{y - 10}" width="26" height="12"/>')
    parts.append(draw_text(x + 33, y, BAND_NOTE, "tick", "start"))
    return "".join(parts)


def _survival_description(curve: dict, time_zero: str) -> str:
    rows = _known(curve)
    if not rows:
        return "No survival value is known."
    day, survival = rows[-1][:2]
    return (
        f"Recurrence-free survival in years since {time_zero}, from 100 % to {percent(survival)} at "
        f"{years(day)}, where the estimate ends. The band is the {BAND_NOTE}."
    )


# --- HPV probability ----------------------------------------------------------------------------------

BAR = Frame(left=20, top=34, width=660, height=18, x_max=1.0)


def probability_bar(probability: float, *, threshold: float, members=(), before: float | None = None) -> str:
    """HPV probability as a bar with the threshold, each member as a dot and the value before a correction.

    Parameters
    ----------
    probability, threshold : 0..1
    members : each member's probability
    before : probability with the model's own contours, or None

    Returns
    -------
    str : an svg element
    """
    parts = [
        draw_rect("track", BAR.left, BAR.top, BAR.width, BAR.height),
        draw_rect("fill", BAR.left, BAR.top, BAR.x(probability) - BAR.left, BAR.height),
    ]
    if before is not None:
        x = BAR.x(before)
        parts.append(draw_line("before-tick", x, BAR.top - 3, x, BAR.bottom + 3))
    x = BAR.x(threshold)
    parts.append(draw_line("threshold", x, BAR.top - 8, x, BAR.bottom + 8))
    parts.append(draw_text(x, BAR.top - 13, f"threshold {percent(threshold)}", "mark", "middle"))
    if threshold > 0.25:
        parts.append(draw_text(BAR.left, BAR.top - 13, "HPV-negative", "tick", "start"))
    if threshold < 0.75:
        parts.append(draw_text(BAR.right, BAR.top - 13, "HPV-positive", "tick", "end"))
    for x, y in member_dots(members):
        parts.append(f'<circle class="member" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    axis_y = BAR.bottom + 44
    for quarter in range(5):
        x = BAR.x(quarter / 4)
        parts.append(draw_line("axis", x, axis_y, x, axis_y + 5))
        parts.append(draw_text(x, axis_y + 19, percent(quarter / 4), "tick", "middle"))
    parts.append(draw_line("axis", BAR.left, axis_y, BAR.right, axis_y))
    parts.append(_probability_legend(axis_y + 42, bool(members), before))
    description = f"HPV probability {percent(probability)}, threshold {percent(threshold)}"
    if before is not None:
        description += f", {percent(before)} with the model's contours"
    return svg_element(700, 146, "HPV probability", description + ".", "".join(parts))


def member_dots(members, radius: float = 4.0) -> list[tuple[float, float]]:
    """Centres of the members' dots under the bar; dots that would hide one another are stacked downwards."""
    placed: list[tuple[float, float]] = []
    for value in sorted(members):
        x, row = BAR.x(value), 0
        while any(abs(x - px) < 2 * radius + 1 and row == prow for px, prow in placed):
            row += 1
        placed.append((x, row))
    rows = max((row for _, row in placed), default=0)
    pitch = min(2 * radius + 2, 28 / max(rows, 1))
    return [(x, BAR.bottom + 12 + row * pitch) for x, row in placed]


def _probability_legend(y: float, members: bool, before: float | None) -> str:
    parts, x = [], BAR.left
    if members:
        parts.append(f'<circle class="member" cx="{x + 5}" cy="{y - 4}" r="4"/>')
        parts.append(draw_text(x + 16, y, "one member of the ensemble", "tick", "start"))
        x += 210
    if before is not None:
        parts.append(draw_line("before-tick", x + 4, y - 11, x + 4, y + 3))
        parts.append(draw_text(x + 16, y, f"with the model's contours, {percent(before)}", "tick", "start"))
    return "".join(parts)


# --- contributions ------------------------------------------------------------------------------------

EFFECT_WIDTH, EFFECT_HEIGHT = 240.0, 18.0


def effect_bar(effect: float, *, largest: float, before: float | None = None, colors=("amber", "blue")) -> str:
    """One bar of a diverging chart: right of the middle for positive effects, left for negative ones.

    It stands beside its number, so screen readers pass over it.

    Parameters
    ----------
    effect : the feature's share
    largest : |effect| that fills half the width
    before : the share with the model's own contours, drawn as a dashed outline; or None
    colors : style classes of negative and of positive effects
    """
    parts = [draw_line("axis", EFFECT_WIDTH / 2, 0, EFFECT_WIDTH / 2, EFFECT_HEIGHT)]
    x, width = effect_span(effect, largest)
    parts.append(draw_rect(colors[effect > 0], x, 3, width, EFFECT_HEIGHT - 6))
    if before is not None:
        x, width = effect_span(before, largest)
        parts.append(draw_rect("was-bar", x, 1.5, width, EFFECT_HEIGHT - 3))
    box = f"0 0 {EFFECT_WIDTH:g} {EFFECT_HEIGHT:g}"
    return f'<svg class="effect" viewBox="{box}" aria-hidden="true">{"".join(parts)}</svg>'


def effect_span(effect: float, largest: float) -> tuple[float, float]:
    """Left edge and width of an effect's bar."""
    half = EFFECT_WIDTH / 2 - 2
    width = half * min(abs(effect) / largest, 1.0) if largest > 0 else 0.0
    return (EFFECT_WIDTH / 2 - (width if effect < 0 else 0.0), width)


# --- pieces -------------------------------------------------------------------------------------------


def heat_scale(top_suv: float) -> str:
    """The colour scale of the PET overlay from 0 to ``top_suv`` and above, with its numbers."""
    cells = "".join(
        f'<rect x="{10 + 3 * i}" y="4" width="3.2" height="10" fill="{_hex(color)}"/>'
        for i, color in enumerate(hot(np.linspace(0.0, 1.0, 40)))
    )
    labels = draw_text(10, 27, "0", "tick", "middle") + draw_text(130, 27, f"{top_suv:g}+", "tick", "middle")
    return svg_element(150, 32, "PET colour scale", f"SUV 0 to {top_suv:g}", cells + labels, "heat")


def _hex(rgb) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb.tolist())


def svg_element(width: float, height: float, title: str, description: str, body: str, name: str = "chart") -> str:
    desc = f"<desc>{escape(description)}</desc>" if description else ""
    return (
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title>{desc}{body}</svg>"
    )


def draw_line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def draw_rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"/>'


def draw_text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
