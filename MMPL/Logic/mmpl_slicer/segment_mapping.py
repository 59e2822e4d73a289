"""Which segment of a segmentation is which class: known by name, else proposed and asked for once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mmpl.case import GTVN, GTVP
from mmpl.segments import SEGMENTS

UNUSED = 0
MAPPING_ATTRIBUTE = "MMPL.Segments"
# what clinics call them; the nodes come first, since "GTV LN" holds "GTV" too
_NODE = re.compile(r"gtv[\s_-]*(n|ln)|\bnod(e|al|us)|lymph|\bln\b|\bln\d|metasta", re.IGNORECASE)
_PRIMARY = re.compile(r"gtv[\s_-]*(p|t)\b|gtv[\s_-]*p|\bprim|tumou?r|\btu\b|\bgtv\b", re.IGNORECASE)


def segment_names(segmentation_node) -> dict[str, str]:
    """Segment ID -> name, in the segmentation's order."""
    segmentation = segmentation_node.GetSegmentation()
    return {i: segmentation.GetSegment(i).GetName() for i in segmentation.GetSegmentIDs()}


def mapping_by_name(segmentation_node) -> dict[str, int]:
    """Segment ID -> label of the segments that are GTVp or GTVn by MMPL's ID or by name, whatever its case."""
    found = {}
    for segment_id, name in segment_names(segmentation_node).items():
        for label, spec in SEGMENTS.items():
            if segment_id == spec.id or name.strip().lower() == spec.name.lower():
                found[segment_id] = label
    return found


def proposed_mapping(segmentation_node) -> dict[str, int]:
    """A guess for every segment: what names of clinics usually mean, UNUSED where they mean nothing here."""
    known = mapping_by_name(segmentation_node)
    return {i: known.get(i, _guess(name)) for i, name in segment_names(segmentation_node).items()}


def _guess(name: str) -> int:
    if _NODE.search(name):
        return GTVN
    return GTVP if _PRIMARY.search(name) else UNUSED


def remember_mapping(segmentation_node, answered: Mapping[str, int]) -> None:
    """Keep what the user said, UNUSED included, with the segmentation: it is saved with it and asked for once."""
    segmentation_node.SetAttribute(MAPPING_ATTRIBUTE, json.dumps(dict(answered)))


def mapping_in_force(segmentation_node) -> dict[str, int] | None:
    """Segment ID -> label as the user said, else as names say; None when it must be asked for.

    A segmentation without any segment needs no answer.
    """
    names = segment_names(segmentation_node)
    given = {i: label for i, label in _answered(segmentation_node).items() if i in names}
    known = {**mapping_by_name(segmentation_node), **given}
    if names and not known:
        return None
    return {i: label for i, label in known.items() if label != UNUSED}


def _answered(segmentation_node) -> dict[str, int]:
    """What the user said; what cannot be read counts as not said."""
    try:
        answered = json.loads(segmentation_node.GetAttribute(MAPPING_ATTRIBUTE) or "{}")
    except ValueError:
        return {}
    if not isinstance(answered, dict):
        return {}
    return {i: label for i, label in answered.items() if label in (UNUSED, *SEGMENTS)}
