"""The strip at the head of the report: six figures, each with what it was before a correction."""

from __future__ import annotations

from mmpl.report.panels import TIMES
from mmpl.report.text import MISSING, NBSP, escape, fixed, percent, signed

CORRECTED_NOTE = '<p class="note">Figures are with the corrected contours; "was" is with the model\'s own.</p>'


def summary_strip(results: dict, before: dict | None) -> str:
    """Six figures a reader wants first, each with what it was before a correction."""
    cells = [_hpv_cell(results["hpv"], before and before["hpv"])]
    cells += [_survival_cell(results["rfs"], before and before["rfs"], key, text) for key, text in TIMES[1::2]]
    cells.append(_risk_cell(results["rfs"], before and before["rfs"]))
    for name, what in (("GTVp", "primary"), ("GTVn", "nodes")):
        cells.append(_volume_cell(name, what, results["lesions"], before and before["lesions"]))
    note = CORRECTED_NOTE if before else ""
    return f'<dl class="summary">{"".join(cells)}</dl>{note}'


def _hpv_cell(hpv: dict, was: dict | None) -> str:
    note = "not given" if hpv["probability"] is None else f"HPV-{escape(hpv['status'])}"
    note += f"; record: {escape(hpv['known'])}" if hpv["known"] else ""
    return _cell("HPV probability", percent(hpv["probability"]), note, percent(was["probability"]) if was else None)


def _survival_cell(rfs: dict, was: dict | None, key: str, text: str) -> str:
    value = rfs["survival_at"].get(key)
    note = "recurrence-free"
    if value is None:
        note = "not given" if rfs["risk"] is None else "no estimate so far out"
    return _cell(f"RFS at {text}", percent(value), note, percent(was["survival_at"].get(key)) if was else None)


def _risk_cell(rfs: dict, was: dict | None) -> str:
    group = (rfs["risk_group"] or MISSING).capitalize()
    note = "not given" if rfs["risk"] is None else f"score {signed(rfs['risk'])}"
    return _cell("Risk group", escape(group), note, escape(was["risk_group"] or MISSING) if was else None, word=True)


def _volume_cell(name: str, what: str, lesions: dict, was: dict | None) -> str:
    count = len(lesions[name]["components"])
    note = "none found" if count == 0 else f"{count} lesion{'s' if count > 1 else ''}"
    before = fixed(was[name]["volume_ml"]) if was else None
    return _cell(f"{name}, {what}", fixed(lesions[name]["volume_ml"]), note, before, unit=f"{NBSP}mL")


def _cell(label: str, value: str, note: str, was: str | None, *, unit: str = "", word: bool = False) -> str:
    """One figure: corrected value large, then what it was with the model's contours."""
    changed = "" if was is None else f'<dd class="was">{_change(value, was, unit)}</dd>'
    shown = value if value == MISSING else f"{value}{unit}"
    return f'<div><dt>{label}</dt><dd class="big{" word" if word else ""}">{shown}</dd><dd>{note}</dd>{changed}</div>'


def _change(value: str, was: str, unit: str) -> str:
    if was.lower() == value.lower():
        return "unchanged"
    return "was not given" if was == MISSING else f"was {was}{unit}"
