"""Charts of an evaluation as inline SVG, in the look of the patient report's.

What tells curves apart is their dashes and labels, not their colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmpl.evaluation.findings import Figure
from mmpl.report.charts import DAYS_PER_YEAR, Frame, draw_line, draw_rect, draw_text, svg_element
from mmpl.report.text import percent

GROUP_STROKES = (  # readable on white and on the dark page
    ("#2a8fd0", ""),
    ("#c77f00", "8 4"),
    ("#d1495b", "2 3"),
    ("#7a6ad8", "10 3 2 3"),
    ("#3a9a5b", "1 3"),
)
RISK_ROW = 18.0


def _axes(frame: Frame, x_title: str, y_title: str, x_ticks: Sequence[tuple[float, str]]) -> str:
    """Percent to the left, given ticks below, titles."""
    parts = []
    for tenth in range(0, 11, 2):
        y = frame.y(tenth / 10)
        parts.append(draw_line("grid", frame.left, y, frame.right, y))
        parts.append(draw_text(frame.left - 8, y + 4, percent(tenth / 10), "tick", "end"))
    for value, label in x_ticks:
        x = frame.x(value)
        parts.append(draw_line("axis", x, frame.bottom, x, frame.bottom + 5))
        parts.append(draw_text(x, frame.bottom + 19, label, "tick", "middle"))
    parts.append(draw_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(draw_text((frame.left + frame.right) / 2, frame.bottom + 40, x_title, "axis-title", "middle"))
    parts.append(draw_text(frame.left - 40, frame.top - 14, y_title, "axis-title", "start"))
    return "".join(parts)


FIFTHS = tuple((k / 5, percent(k / 5)) for k in range(6))


# --- predicted against observed -----------------------------------------------------------------------


def reliability_chart(points: Sequence[tuple[float, Figure, str]], *, x_title: str, y_title: str, title: str) -> str:
    """Observed shares with their intervals against predicted ones.

    Parameters
    ----------
    points : (predicted, observed, label), shares from 0 to 1
    x_title, y_title, title : texts

    Returns
    -------
    str : an svg element
    """
    frame = Frame(left=56, top=36, width=380, height=300, x_max=1.0)
    parts = [_axes(frame, x_title, y_title, FIFTHS)]
    parts.append(draw_line("end", frame.x(0), frame.y(0), frame.x(1), frame.y(1)))
    for predicted, observed, _ in points:
        parts.append(_vertical_bar(frame, predicted, observed))
    for predicted, observed, label in points:
        x, y = frame.x(predicted), frame.y(observed.value)
        parts.append(f'<circle class="end-dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
        parts.append(_beside_diagonal(frame, x, y, label, above=observed.value > predicted))
    described = "; ".join(f"{label}: predicted {percent(p)}, observed {percent(o.value)}" for p, o, label in points)
    return svg_element(630, 386, title, f"{described}.", "".join(parts))


def _beside_diagonal(frame: Frame, x: float, y: float, label: str, *, above: bool) -> str:
    """A point's label away from the diagonal: up and to the left above it, down and to the right below."""
    if above and x > frame.left + 60:
        return draw_text(x - 8, y - 8, label, "mark", "end")
    return draw_text(x + 8, y + 15, label, "mark", "start")


def _vertical_bar(frame: Frame, x: float, figure: Figure) -> str:
    if figure.low is None:
        return ""
    x, top, bottom = frame.x(x), frame.y(figure.high), frame.y(figure.low)
    caps = "".join(draw_line("threshold", x - 4, y, x + 4, y) for y in (top, bottom))
    return draw_line("threshold", x, top, x, bottom) + caps


# --- Kaplan-Meier -------------------------------------------------------------------------------------


def kaplan_meier_chart(curves: Sequence[tuple[str, Sequence[tuple[float, float]], np.ndarray]]) -> str:
    """Kaplan-Meier curves with the number at risk below.

    Parameters
    ----------
    curves : (name, steps, follow-up days of each patient) a group; steps are (day, share from that day on)

    Returns
    -------
    str : an svg element
    """
    last = max(steps[-1][0] for _, steps, _ in curves)
    frame = Frame(left=150, top=36, width=460, height=250, x_max=max(1, math.ceil(last / DAYS_PER_YEAR)))
    step = max(1, math.ceil(frame.x_max / 10))
    years = range(0, int(frame.x_max) + 1, step)
    parts = [_axes(frame, "Years", "Free of recurrence", [(y, str(y)) for y in years])]
    legend_x = frame.left + 120
    for number, (name, steps, _) in enumerate(curves):
        stroke = curve_stroke(number)
        parts.append(f'<path d="{_step_path(frame, steps)}" {stroke}/>')
        parts.append(f'<path d="M{legend_x:.1f},{frame.top - 18:.1f}h28" {stroke}/>')
        parts.append(draw_text(legend_x + 34, frame.top - 14, name, "mark", "start"))
        legend_x += 50 + 8 * len(name)
    y = frame.bottom + 66
    parts.append(draw_text(8, y, "At risk", "axis-title", "start"))
    for number, (name, _, days) in enumerate(curves):
        row = y + RISK_ROW * (number + 1)
        parts.append(f'<path d="M8,{row - 4:.1f}h20" {curve_stroke(number)}/>')
        parts.append(draw_text(34, row, name, "tick", "start"))
        parts += [
            draw_text(frame.x(k), row, str(int((days >= k * DAYS_PER_YEAR).sum())), "tick", "middle") for k in years
        ]
    ends = "; ".join(f"{name}: {percent(steps[-1][1])} after {steps[-1][0]:.0f} days" for name, steps, _ in curves)
    return svg_element(630, y + RISK_ROW * len(curves) + 12, "Kaplan-Meier by risk group", f"{ends}.", "".join(parts))


def curve_stroke(number: int) -> str:
    """Attributes of the path of a curve; five of them differ in colour and dashes."""
    colour, dash = GROUP_STROKES[number % len(GROUP_STROKES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{colour}" stroke-width="2.4"{dashes}'


def _step_path(frame: Frame, steps: Sequence[tuple[float, float]]) -> str:
    corners = "".join(f"H{frame.x(day / DAYS_PER_YEAR):.1f}V{frame.y(share):.1f}" for day, share in steps)
    return f"M{frame.x(0):.1f},{frame.y(1):.1f}{corners}"


# --- centers, distributions ---------------------------------------------------------------------------


def interval_chart(rows: Sequence[tuple[str, Figure]], *, x_title: str, reference: float | None = None) -> str:
    """One line a row: a figure from 0 to 1 with its interval.

    Parameters
    ----------
    rows : (name, figure); one without a value says so
    x_title : text
    reference : a value to mark with a dashed line, or None

    Returns
    -------
    str : an svg element
    """
    frame = Frame(left=150, top=12, width=440, height=26.0 * len(rows), x_max=1.0)
    parts = []
    for value, _ in FIFTHS:
        x = frame.x(value)
        parts.append(draw_line("grid", x, frame.top, x, frame.bottom))
        parts.append(draw_text(x, frame.bottom + 18, f"{value:.1f}", "tick", "middle"))
    if reference is not None:
        parts.append(draw_line("end", frame.x(reference), frame.top, frame.x(reference), frame.bottom))
    for number, (name, figure) in enumerate(rows):
        y = frame.top + 26.0 * number + 13
        parts.append(draw_text(frame.left - 12, y + 4, name, "mark", "end"))
        parts.append(_row_figure(frame, y, figure))
    parts.append(draw_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(draw_text((frame.left + frame.right) / 2, frame.bottom + 38, x_title, "axis-title", "middle"))
    described = "; ".join(f"{name}: {figure.text}" for name, figure in rows)
    return svg_element(630, frame.bottom + 50, f"{x_title} by centre", f"{described}.", "".join(parts))


def _row_figure(frame: Frame, y: float, figure: Figure) -> str:
    if figure.value is None:
        return draw_text(frame.left + 8, y + 4, figure.text, "tick", "start")
    bar = ""
    if figure.low is not None:
        low, high = frame.x(figure.low), frame.x(figure.high)
        bar = draw_line("threshold", low, y, high, y)
        bar += "".join(draw_line("threshold", x, y - 4, x, y + 4) for x in (low, high))
    return f'{bar}<circle class="end-dot" cx="{frame.x(figure.value):.1f}" cy="{y:.1f}" r="4.5"/>'


def histogram_chart(values: Sequence[float], *, x_title: str, title: str, bins: int = 20) -> str:
    """Counts of values from 0 to 1, in bins of equal width.

    Returns
    -------
    str : an svg element
    """
    counts, edges = np.histogram(values, bins=bins, range=(0.0, 1.0))
    top = max(int(counts.max()), 1)
    frame = Frame(left=56, top=36, width=500, height=180, x_max=1.0, y_max=top)
    parts = []
    for count in sorted({0, math.ceil(top / 2), top}):
        parts.append(draw_line("grid", frame.left, frame.y(count), frame.right, frame.y(count)))
        parts.append(draw_text(frame.left - 8, frame.y(count) + 4, str(count), "tick", "end"))
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            y = frame.y(count)
            parts.append(draw_rect("fill", frame.x(low) + 1, y, frame.x(high) - frame.x(low) - 2, frame.bottom - y))
    for value, _ in FIFTHS:
        parts.append(draw_text(frame.x(value), frame.bottom + 18, f"{value:.1f}", "tick", "middle"))
    parts.append(draw_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(draw_text((frame.left + frame.right) / 2, frame.bottom + 38, x_title, "axis-title", "middle"))
    parts.append(draw_text(frame.left - 44, frame.top - 14, "Patients", "axis-title", "start"))
    described = f"{len(values)} values, median {np.median(values):.2f}, lowest {min(values):.2f}."
    return svg_element(630, frame.bottom + 50, title, described, "".join(parts))
