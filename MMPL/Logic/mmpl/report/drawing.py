"""How the model drew the contours, in words."""

from __future__ import annotations

from collections.abc import Mapping

from mmpl.report.text import percent

PAPER = "paper"  # as results.json has it; the plan's own module needs libraries that a panel does without


def drawn_by(record: Mapping) -> str:
    """The backend and the plan in a few words.

    Parameters
    ----------
    record : ``segmentation`` of ``results.json``

    Returns
    -------
    str : "PyTorch, fp32, cpu: 10 members in overlapping windows", without a full stop
    """
    members = _members(record["members"])
    if record["plan"]["name"] == PAPER:
        how = f"{members} in overlapping windows"
    elif record["searchers"] < record["members"]:
        how = f"{record['searchers']} of {members} everywhere, all where they found anything possible"
    else:
        how = f"{members} everywhere"
    return f"{record['backend']}: {how}"


def drawing_rows(record: Mapping) -> list[tuple[str, str]]:
    """(label, text) for the report: who drew, and what it took."""
    took = f"{record['passes']} network passes"
    if "computed_share" in record:
        took += f", {_work(record['computed_share'])} of one pass of every member over the whole region"
    if times := record.get("shrunk"):
        took += f"; {times} {'pass' if times == 1 else 'passes'} cut in two for lack of memory"
    return [("Contours drawn by", drawn_by(record)), ("Work of drawing", took)]


def _work(share: float) -> str:
    """A share that lies above one where windows overlap."""
    return f"{share:.1f} times the work" if share >= 1 else f"{percent(share)} of the work"


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"
