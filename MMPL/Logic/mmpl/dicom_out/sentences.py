"""The report's sentences: what it is for, what it leaves out and why, and the warnings."""

from __future__ import annotations

from mmpl.dicom_out.codes import FIGURES, RFS_AT
from mmpl.segments import SEGMENTS

HIGHER_IS = "Higher risk means earlier relapse."


def report_sentences(results: dict, contoured: set[str]) -> list[str]:
    """Sentences for people, in the order in which they are to be read.

    Parameters
    ----------
    results : the dictionary of ``results.json``
    contoured : names of the classes that have voxels
    """
    bundle = results["bundle"]
    return [
        results["notice"],
        f"Model bundle {bundle['name']}, version {bundle['version']}, sha256 {bundle['sha256']}.",
        _drawn(results, contoured),
        *_classes(results, contoured),
        f"MTV rule: {results['mtv_rule']}.",
        *_hpv(results["hpv"]),
        *_rfs(results["rfs"]),
        *(f"Warning {w['code']}: {w['text']}" for w in results["warnings"]),
    ]


def _drawn(results: dict, contoured: set[str]) -> str:
    if not contoured:
        return "Nothing is contoured: no segmentation and no structure set were written."
    if results.get("segmentation") is None:
        return "The contours were given to MMPL; the figures are of them as they were given."
    return "The contours were drawn by the model."


def _classes(results: dict, contoured: set[str]) -> list[str]:
    sentences = []
    for name in (spec.name for spec in SEGMENTS.values()):
        if name not in contoured:
            sentences.append(f"{name}: nothing is contoured, so it is neither a segment nor a region of interest.")
            continue
        missing = [f.label for f in FIGURES if results["lesions"][name][f.key] is None]
        if missing:
            sentences.append(f"{name}: not given: {', '.join(missing)} (the PET is not in SUV or has no voxel inside).")
        for component in results["lesions"][name]["components"]:
            place = ", ".join(f"{v:.1f}" for v in component["centroid_lps_mm"])
            sentences.append(f"{name} {component['id']} lies round ({place}) mm in LPS.")
    return sentences


def _hpv(hpv: dict) -> list[str]:
    known = [] if hpv["known"] is None else [f"The record says HPV {hpv['known']}."]
    if hpv["probability"] is None:
        return [f"HPV probability: not given. {hpv['reason']}", *known]
    return ["HPV status is predicted from images and record; it is no laboratory result.", *known]


def _rfs(rfs: dict) -> list[str]:
    if rfs["risk"] is None:
        return [f"Recurrence-free survival: not given. {rfs['reason']}"]
    sentences = [f"Recurrence-free survival is counted from: {rfs['time_zero']}. {HIGHER_IS}"]
    missing = [key for key in RFS_AT if rfs["survival_at"][key] is None]
    if missing:
        sentences.append(
            f"Recurrence-free survival at {', '.join(missing)}: not given, beyond the last training event."
        )
    return sentences
