"""How the PET came to be in SUV, in words: every value with where it stood."""

from __future__ import annotations

from collections.abc import Mapping

LABELS = {
    "weight_kg": ("Weight", "kg"),
    "injected_mbq": ("Injected activity", "MBq"),
    "decay_min": ("Decay, injection to image", "min"),
    "decay_max_min": ("Decay, latest slice", "min"),
    "half_life_s": ("Half-life", "s"),
    "height_cm": ("Height", "cm"),
    "philips_suv_factor": ("Counts to SUV", ""),
    "philips_activity_factor": ("Counts to Bq/mL", ""),
}


def suv_rows(provenance: Mapping) -> list[tuple[str, str]]:
    """(label, text) for the report; nothing where the PET was not converted.

    Parameters
    ----------
    provenance : ``inputs.pet.provenance`` of ``results.json``
    """
    record = provenance.get("suv")
    if not isinstance(record, Mapping) or "sources" not in record:
        return []
    sources = dict(record["sources"])
    rows = [("Rule", record["rule"])]
    rows += [_row(name, value, sources.pop(name, "")) for name, value in record["values"].items()]
    if "sex" in sources:
        rows.append(("Sex", sources["sex"]))
    if "units" in sources:
        rows.append(("Units", sources["units"]))
    if record.get("factor_range"):
        low, high = record["factor_range"]
        rows.append(("Voxels times", f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}, by slice"))
    rows += [(f"{name} per SUVbw", f"{factor:.4f}") for name, factor in record["other_suv_per_suvbw"].items()]
    return rows


def _row(name: str, value: float, source: str) -> tuple[str, str]:
    label, unit = LABELS.get(name, (name, ""))
    return label, f"{value:.6g}{' ' + unit if unit else ''}{f', from {source}' if source else ''}"
