"""The dose table of the report: planned dose in each contour."""

from __future__ import annotations

from mmpl.report.text import MISSING, escape, fixed, sentence

COLUMNS = (
    ("mean_gy", "Mean", "Gy"),
    ("min_gy", "Min.", "Gy"),
    ("max_gy", "Max.", "Gy"),
    ("d98_gy", "D98", "Gy"),
    ("d95_gy", "D95", "Gy"),
    ("d50_gy", "D50", "Gy"),
    ("d2_gy", "D2", "Gy"),
)
ROWS = (("GTVp", "GTVp"), ("GTVn", "GTVn"), ("total", "Both"))
DEFINITIONS = (
    "D95 is the dose that 95 % of the volume receives at least; V60 is the share of the volume that receives at least "
    "60 Gy. Every voxel of the CT counts alike; no interpolation between voxels."
)


def dose_section(results: dict) -> str:
    """The section "Dose" as HTML; "" where the results hold no dose.

    Parameters
    ----------
    results : ``Results.as_dict()``
    """
    dose = results.get("dose")
    if not dose:
        return ""
    body = f'<p>{escape(dose["note"])}</p>\n{_table(dose)}\n<p class="note">{_source(dose["source"])} {DEFINITIONS}</p>'
    return f"<section>\n<h2>Dose</h2>\n{body}\n</section>"


def _table(dose: dict) -> str:
    heads = [f'{name} <span class="unit">{unit}</span>' for _, name, unit in COLUMNS]
    heads += [f'V{level:g} <span class="unit">%</span>' for level in dose["levels_gy"]]
    heads += ['Covered <span class="unit">%</span>']
    cells = "".join(f'<th class="num" scope="col">{head}</th>' for head in heads)
    rows = "".join(_row(label, dose[key], len(dose["levels_gy"])) for key, label in ROWS)
    return (
        f'<table class="dose"><thead><tr><th scope="col">Contour</th>{cells}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(label: str, figures: dict, levels: int) -> str:
    kind = "total" if label == "Both" else "part"
    head = f'<tr class="{kind}"><th scope="row">{label}</th>'
    if figures["reason"]:
        span = len(COLUMNS) + levels + 1
        return f'{head}<td colspan="{span}" class="note">{escape(sentence(figures["reason"]))}</td></tr>'
    numbers = [fixed(figures[key]) for key, _, _ in COLUMNS] + [fixed(v) for v in figures["v_percent"]]
    cells = "".join(f'<td class="num">{text}</td>' for text in (*numbers, _covered(figures["covered_share"])))
    return f"{head}{cells}</tr>"


def _covered(share: float | None) -> str:
    """Percent; 100 only where all of it is covered."""
    if share is None:
        return MISSING
    return "100" if share == 1.0 else f"{min(100 * share, 99.9):.1f}"


def _source(source: dict) -> str:
    kind = (source["dose_type"] or "not said whether physical or effective").lower()
    of = source["summation_type"] or "not said of what"
    return escape(f"Dose in Gy; type: {kind}; sum: {of}.")
