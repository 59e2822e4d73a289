"""Results as the panel says them: from the dictionary of ``results.json`` to texts and bars."""

from __future__ import annotations

from collections.abc import Mapping

from mmpl.report.labels import label_of
from mmpl.report.text import NBSP, against_threshold, percent
from mmpl.segments import SEGMENTS
from mmpl_slicer.panel_state import ClassRow, Driver, LesionRow, ResultsState

MOST_DRIVERS = 6
YEARS = {"1y": "1 year", "2y": "2 years", "3y": "3 years", "5y": "5 years"}
UNKNOWN = "not given"


def results_state(results: Mapping, *, current: bool, stale_text: str, chart_id: str, deep_note: str) -> ResultsState:
    """The results section for one ``results.json``."""
    hpv, rfs, drivers = results["hpv"], results["rfs"], results["contributions"]
    members = hpv["members"] or [None]
    return ResultsState(
        available=True,
        current=current,
        stale_text=stale_text,
        hpv_probability=hpv["probability"],
        hpv_low=None if hpv["probability"] is None else min(members),
        hpv_high=None if hpv["probability"] is None else max(members),
        hpv_threshold=hpv["threshold"],
        hpv_text=_hpv_text(hpv),
        hpv_known=f"On record: HPV {hpv['known']}" if hpv["known"] else "",
        rfs_text=_rfs_text(rfs),
        risk_group=rfs["risk_group"] or "",
        survival=tuple((YEARS.get(key, key), _percent(value)) for key, value in rfs["survival_at"].items()),
        hpv_drivers=_drivers(drivers["hpv"], lambda effect: f"{100 * effect:+.1f}{NBSP}%"),
        rfs_drivers=_drivers(drivers["rfs"], lambda effect: f"{effect:+.2f}"),
        warnings=tuple(warning["text"] for warning in results["warnings"]),
        chart_id=chart_id,
        deep_note=deep_note,
    )


def class_row(label: int, figures: Mapping | None, origin: str, can_return: bool) -> ClassRow:
    """One class' row; ``figures`` is None before anything was measured."""
    spec = SEGMENTS[label]
    return ClassRow(label, spec.name, spec.color, *_figures(figures or {}), origin=origin, can_return=can_return)


def lesion_rows(results: Mapping) -> tuple[LesionRow, ...]:
    """Every connected lesion, GTVp's first, the largest first within a class."""
    return tuple(
        LesionRow(f"{name} {one['id']}", *_figures(one), centre_lps=tuple(one["centroid_lps_mm"]))
        for name, figures in results["lesions"].items()
        for one in figures["components"]
    )


def _figures(figures: Mapping) -> tuple[str, str, str]:
    """Volume, SUVmax and MTV as text."""
    patterns = (("volume_ml", "{:.1f} mL"), ("suv_max", "{:.1f}"), ("mtv_ml", "{:.1f} mL"))
    values = [(figures.get(key), pattern) for key, pattern in patterns]
    return tuple("" if value is None else pattern.format(value) for value, pattern in values)


def _hpv_text(hpv: Mapping) -> str:
    if hpv["probability"] is None:
        return f"HPV: {UNKNOWN}, {hpv['reason']}"
    probability, threshold = against_threshold(hpv["probability"], hpv["threshold"])
    text = f"HPV {hpv['status']}: probability {probability}"
    if hpv["members"]:
        text += f" (members {percent(min(hpv['members']))} to {percent(max(hpv['members']))})"
    return text + f", threshold {threshold}"


def _rfs_text(rfs: Mapping) -> str:
    if rfs["risk"] is None:
        return f"RFS: {UNKNOWN}, {rfs['reason']}"
    return f"Risk group: {rfs['risk_group']} (risk {rfs['risk']:+.2f}; higher = earlier relapse)"


def _drivers(terms, effect_text) -> tuple[Driver, ...]:
    shown = [term for term in terms if term["effect"]][:MOST_DRIVERS]
    largest = max((abs(term["effect"]) for term in shown), default=1.0)
    return tuple(
        Driver(
            feature=label_of(term["feature"]),
            column=term["feature"],
            value=_value(term["value"]),
            effect=effect_text(term["effect"]),
            share=term["effect"] / largest,
        )
        for term in shown
    )


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else percent(value)


def _value(value: float | None) -> str:
    """Four digits, without powers of ten where they can be avoided."""
    if value is None:
        return ""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
