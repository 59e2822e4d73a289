"""The report: one HTML file that needs nothing else, for the screen, the dark and the printer."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmpl.report.charts import heat_scale
from mmpl.report.dose import dose_section
from mmpl.report.drawing import drawing_rows
from mmpl.report.figures import lesion_table, short_figures
from mmpl.report.panels import hpv_panel, reading_notes, rfs_panel
from mmpl.report.slices import CT_LEVEL_HU, CT_WINDOW_HU, LesionPicture, PlanePicture
from mmpl.report.summary import summary_strip
from mmpl.report.suv import suv_rows
from mmpl.report.text import MISSING, at_least, escape, fixed, sentence
from mmpl.segments import SEGMENTS

PHANTOM_LINE = "Model trained on synthetic phantoms only: the figures below say nothing about a patient."
STYLE_FILE = Path(__file__).parent / "report.css"
BUNDLE_SHOWN_APART = ("name", "version", "sha256", "phantom")


@cache
def _style() -> str:
    return STYLE_FILE.read_text(encoding="utf-8")


def render_report(
    *,
    results: dict,
    before: dict | None,
    lesion_pictures: Sequence[LesionPicture],
    clinical: Sequence[tuple[str, object]],
    generated: str,
) -> str:
    """The report as one self-contained HTML document.

    Parameters
    ----------
    results : ``Results.as_dict()`` with the contours that count
    before : the same with the model's own contours where they were corrected, else None
    lesion_pictures : from ``mmpl.report.slices.lesion_pictures``
    clinical : (label, value) pairs as the clinician knows them; None is shown as unknown
    generated : when and by what, for the header

    Returns
    -------
    str : HTML; the page's own policy forbids it to load or run anything
    """
    sections = (
        _header(results, generated),
        summary_strip(results, before),
        _warnings(results["warnings"]),
        html_section("Lesions", lesion_table(results["lesions"], before and before["lesions"])),
        _pictures(lesion_pictures, results["lesions"], corrected=before is not None),
        dose_section(results),
        html_section("HPV", hpv_panel(results, before)),
        html_section("Recurrence-free survival", rfs_panel(results, before)),
        _side_by_side(
            html_section("Clinical record", facts_table(clinical) if clinical else '<p class="note">None given.</p>'),
            html_section("Inputs", facts_table(_flat(_inputs(results["inputs"])))),
        ),
        _suv(results["inputs"]),
        html_section("Method", _method(results)),
        html_section("How to read this", reading_notes(results["mtv_rule"], results["rfs"]["time_zero"])),
    )
    return html_page(results["case_id"], "\n".join(part for part in sections if part))


def html_page(case_id: str, body: str) -> str:
    """A whole page under a policy that forbids it to load or run anything; ``body`` is HTML."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>MMPL report, {escape(case_id)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def html_section(title: str, body: str) -> str:
    """A section with its heading; ``body`` is HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _side_by_side(left: str, right: str) -> str:
    return f'<div class="two">\n{left}\n{right}\n</div>'


def _header(results: dict, generated: str) -> str:
    bundle = results["bundle"]
    phantom = f'<p class="phantom">{PHANTOM_LINE}</p>' if bundle.get("phantom") is True else ""
    model = f"{bundle['name']}, version {bundle['version']}"
    return (
        '<header>\n<p class="kind">MMPL report: head-and-neck FDG-PET/CT</p>\n'
        f"<h1><bdi>{escape(results['case_id'])}</bdi></h1>\n"
        f'<p class="meta">{escape(generated)} · Model bundle {escape(model)}</p>\n'
        f'<p class="research">{escape(results["notice"])}</p>\n{phantom}</header>'
    )


def _warnings(warnings: list[dict]) -> str:
    if not warnings:
        return ""
    items = "".join(
        f'<li>{escape(sentence(w["text"]))} <span class="code">{escape(w["code"])}</span></li>' for w in warnings
    )
    title = "One warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return f'<section class="warnings"><h2>{title}</h2><ul>{items}</ul></section>'


# --- pictures -----------------------------------------------------------------------------------------


def _pictures(pictures: Sequence[LesionPicture], lesions: dict, *, corrected: bool) -> str:
    if not pictures:
        return ""
    body = "".join(_lesion(picture, lesions) for picture in pictures)
    return html_section("Through each lesion", _legend(corrected, pictures[0].pet_top_suv) + body)


def _legend(corrected: bool, pet_top_suv: float | None) -> str:
    keys = "".join(_key(segment, "", corrected) for segment in SEGMENTS.values())
    if corrected:
        keys += "".join(_key(segment, "6 4", corrected) for segment in SEGMENTS.values())
    window = f"CT window {CT_WINDOW_HU:.0f}, level {CT_LEVEL_HU:.0f} HU"
    return (
        f'<div class="legend">{keys}<span>{_pet_key(pet_top_suv)}</span><span>{window}</span>'
        f"<span>Radiological view: R is the patient's right</span></div>"
    )


def _pet_key(top_suv: float | None) -> str:
    if top_suv is None:
        return "PET, not in SUV: red to white up to its own maximum"
    return f"PET, SUV {heat_scale(top_suv)}"


def _key(segment, dash: str, corrected: bool) -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    color = segment.color_hex
    opacity = ' stroke-opacity="0.6"' if dash else ""
    name = segment.name if not corrected else f"{segment.name}, {'model' if dash else 'corrected'}"
    line = f'<path d="M0 6H30" stroke="{color}" stroke-width="3"{dashes}{opacity}/>'
    return f'<span><svg class="key" viewBox="0 0 30 12" aria-hidden="true">{line}</svg>{name}</span>'


def _lesion(picture: LesionPicture, lesions: dict) -> str:
    planes = "".join(_plane(plane, picture.title) for plane in picture.pictures)
    planes = planes or '<p class="note">It lies outside the region of interest: no picture.</p>'
    figures = next((c for c in lesions[picture.class_name]["components"] if c["id"] == picture.component_id), None)
    beside = f'<span class="figures">{short_figures(figures)}</span>' if figures else ""
    head = f"<h3>{escape(picture.title)}{beside}</h3>"
    return f'<div class="lesion">{head}<div class="planes">{planes}</div></div>'


def _plane(plane: PlanePicture, title: str) -> str:
    data = base64.b64encode(plane.png).decode("ascii")
    side = f"{plane.plane.capitalize()}, {_position(plane)}, {plane.side_mm} mm wide"
    alt = f"{title}: {plane.plane} PET/CT with contours, {_position(plane)}"
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
        f"<figcaption>{escape(side)}</figcaption></figure>"
    )


def _position(plane: PlanePicture) -> str:
    """The slice position in words: LPS coordinates are positive to the left, posterior and superior."""
    names = {"axial": ("S", "I"), "coronal": ("P", "A"), "sagittal": ("L", "R")}
    letter = names[plane.plane][0 if plane.position_mm >= 0 else 1]
    return f"{letter} {abs(plane.position_mm):.0f} mm"


# --- facts --------------------------------------------------------------------------------------------


def facts_table(pairs) -> str:
    """(label, value) pairs as a table; None is shown as unknown."""
    rows = "".join(f'<tr><th scope="row">{escape(label)}</th><td>{_fact(value)}</td></tr>' for label, value in pairs)
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _fact(value: object) -> str:
    if value is None or value == "":
        return '<span class="note">unknown</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escape(f"{value:.6g}")
    if isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value):
        return f'<span class="hash">{value}</span>'
    return escape(value)


def _inputs(inputs: dict) -> dict:
    """The images, without the CT's fingerprint and without what the section on SUV says of the PET."""
    apart = {"ct": "fingerprint"}
    if suv_rows(inputs.get("pet", {}).get("provenance", {})):
        apart["pet"] = "provenance"
    return inputs | {
        image: {key: value for key, value in inputs[image].items() if key != left}
        for image, left in apart.items()
        if image in inputs
    }


def _suv(inputs: dict) -> str:
    """How the PET came to be in SUV; nothing where it was not converted."""
    rows = suv_rows(inputs.get("pet", {}).get("provenance", {}))
    return html_section("SUV", facts_table(rows)) if rows else ""


def _flat(value: dict, name: str = "") -> list[tuple[str, object]]:
    """(label, value) rows of a nested dictionary; an image geometry becomes one line."""
    if "size" in value and "spacing_mm" in value:
        return _geometry(value, name)
    groups = (_flat_item(_join(name, key), _measured(key, item)) for key, item in value.items())
    return list(itertools.chain.from_iterable(groups))


def _flat_item(name: str, item: object) -> list[tuple[str, object]]:
    if isinstance(item, dict):
        return _flat(item, name)
    if isinstance(item, list | tuple):
        return [(name, ", ".join(map(_entry, item)) or MISSING)]
    return [(name, item)]


def _entry(value: object) -> str:
    return fixed(value, 1) if isinstance(value, float) else str(value)


def _geometry(grid: dict, name: str) -> list[tuple[str, object]]:
    size = " × ".join(str(n) for n in grid["size"])
    spacing = " × ".join(fixed(s, 2) for s in grid["spacing_mm"])
    rows: list[tuple[str, object]] = [
        (_join(name, "grid, x y z"), size),
        (_join(name, "voxel_mm"), spacing),
    ]
    rest = {k: v for k, v in grid.items() if k not in ("size", "spacing_mm", "direction", "origin_mm")}
    return rows + _flat(rest, name)


SPELLED = {
    "ct": "CT",
    "pet": "PET",
    "pt": "PET",
    "suv": "SUV",
    "roi": "ROI",
    "mtv": "MTV",
    "sha256": "SHA-256",
}
UNITS = {  # by the end of a key: the unit to print, and what the value is multiplied by
    "_mbq": ("MBq", 1.0),
    "_bq": ("MBq", 1e-6),
    "_mm": ("mm", 1.0),
    "_kg": ("kg", 1.0),
    "_s": ("s", 1.0),
}


def _unit_of(key: str) -> str:
    return next((suffix for suffix in UNITS if key.endswith(suffix)), "")


def _measured(key: str, item: object) -> object:
    """A number in the unit its label prints."""
    unit = _unit_of(key)
    if unit and isinstance(item, int | float) and not isinstance(item, bool):
        return float(item) * UNITS[unit][1]
    return item


def _join(name: str, key: str) -> str:
    """ "pet" and "injected_dose_bq" -> "PET injected dose, MBq"."""
    unit = _unit_of(key)
    words = key.removesuffix(unit).replace("_", " ").split()
    label = " ".join([name, *(SPELLED.get(word.lower(), word) for word in words)]).strip()
    return label[:1].upper() + label[1:] + (f", {UNITS[unit][0]}" if unit else "")


def _method(results: dict) -> str:
    bundle = results["bundle"]
    rows = [
        ("Bundle", f"{bundle['name']}, version {bundle['version']}"),
        ("SHA-256", bundle["sha256"]),
        *_flat({key: value for key, value in bundle.items() if key not in BUNDLE_SHOWN_APART}),
        ("Predictions of", _member_counts(results)),
        *(drawing_rows(results["segmentation"]) if results["segmentation"] else ()),
        ("MTV rule", at_least(results["mtv_rule"])),
        ("Results format", results["schema_version"]),
    ]
    timings = results["timings_s"]
    if timings:
        steps = ", ".join(f"{name} {fixed(seconds)} s" for name, seconds in timings.items())
        rows.append(("Time taken", f"{steps}"))
    return facts_table(rows)


def _member_counts(results: dict) -> str:
    return f"{len(results['hpv']['members'])} members for HPV, {len(results['rfs']['members'])} for RFS"
