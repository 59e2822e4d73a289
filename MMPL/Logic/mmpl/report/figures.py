"""The lesion table: what each contour measures, beside the model's own where it was corrected."""

from __future__ import annotations

import math

from mmpl.report.text import MISSING, escape, fixed
from mmpl.segments import SEGMENTS

PAIRING_MM = 10.0
PAIRING_NOTE = f"Lesions are paired by their centroids, within {PAIRING_MM:.0f} mm."
COLUMNS = (
    ("volume_ml", "Volume", "mL"),
    ("suv_max", "SUVmax", ""),
    ("suv_peak", "SUVpeak", ""),
    ("suv_mean", "SUVmean", ""),
    ("mtv_ml", "MTV", "mL"),
    ("tlg_g", "TLG", "g"),
)


def lesion_table(lesions: dict, before: dict | None) -> str:
    """HTML table of both classes: the total, then each component.

    Parameters
    ----------
    lesions, before : the "lesions" of the results with the corrected and with the model's contours
    """
    head = "".join(f'<th class="num" scope="col">{name}{_unit(unit)}</th>' for _, name, unit in COLUMNS)
    rows = "".join(
        _class_rows(segment, lesions[segment.name], before[segment.name] if before else None)
        for segment in SEGMENTS.values()
    )
    head = f'<thead><tr><th scope="col">Lesion</th>{head}</tr></thead>'
    return f'<table class="lesions">{head}<tbody>{rows}</tbody></table>'


def _unit(unit: str) -> str:
    return f' <span class="unit">{unit}</span>' if unit else ""


def _class_rows(segment, now: dict, before: dict | None) -> str:
    count = len(now["components"])
    name = f"{_swatch(segment)}{segment.name}{f', all {count}' if count > 1 else ''}"
    if not count and not (before and before["components"]):
        return f'<tr class="total"><th scope="row">{name}</th><td colspan="6" class="note">none found</td></tr>'
    rows = _rows(name, now, before, "total")
    if count < 2 and (before is None or len(before["components"]) < 2):
        return rows
    for component, was in pair_components(now["components"], before["components"] if before else []):
        rows += _component_rows(segment.name, component, was, compared=before is not None)
    return rows


def _component_rows(name: str, now: dict | None, was: dict | None, *, compared: bool) -> str:
    if now is None:
        return _row(f"{name}, removed (model's contour)", was, "model gone")
    label = f"{name} {now['id']}"
    if compared and was is None:
        return _row(f'{label} <span class="note">added</span>', now, "part")
    return _rows(label, now, was, "part")


def pair_components(now: list[dict], before: list[dict]) -> list[tuple[dict | None, dict | None]]:
    """Components that belong together before and after a correction: nearest centroids first, within 10 mm.

    Returns
    -------
    list of (now, before) : every component once, None where there is no partner; in the order of ``now``,
        then those that were removed
    """
    gaps = sorted(
        (math.dist(a["centroid_lps_mm"], b["centroid_lps_mm"]), i, j)
        for i, a in enumerate(now)
        for j, b in enumerate(before)
    )
    partner: dict[int, int] = {}
    for gap, i, j in gaps:
        if gap <= PAIRING_MM and i not in partner and j not in partner.values():
            partner[i] = j
    pairs = [(a, before[partner[i]] if i in partner else None) for i, a in enumerate(now)]
    return pairs + [(None, b) for j, b in enumerate(before) if j not in partner.values()]


def _rows(name: str, now: dict, was: dict | None, kind: str) -> str:
    if was is None or _cells(now) == _cells(was):
        return _row(name, now, kind)
    part = " part" if kind == "part" else ""
    return _row(name, now, f"{kind} pair") + _row("model's contours", was, f"model{part}")


def _row(name: str, figures: dict, kind: str) -> str:
    return f'<tr class="{kind}"><th scope="row">{name}</th>{_cells(figures)}</tr>'


def _cells(figures: dict) -> str:
    return "".join(f'<td class="num">{fixed(figures[key])}</td>' for key, _, _ in COLUMNS)


def _swatch(segment) -> str:
    box = f'<rect width="11" height="11" rx="2" fill="{segment.color_hex}"/>'
    return f'<svg class="swatch" viewBox="0 0 11 11" aria-hidden="true">{box}</svg>'


def short_figures(figures: dict) -> str:
    """ "12.3 mL, SUVmax 14.2", for a heading."""
    text = f"{fixed(figures['volume_ml'])} mL"
    if fixed(figures["suv_max"]) != MISSING:
        text += f", SUVmax {fixed(figures['suv_max'])}"
    return escape(text)
