"""One spelling for every center, however the tables have it."""

from __future__ import annotations

import re
from collections.abc import Mapping


def tidy_centers(written: Mapping[str, str | None]) -> dict[str, str | None]:
    """Center by patient: "3.0" is "3", as spreadsheets export it, and "chum" is the "CHUM" that comes first.

    Parameters
    ----------
    written : by patient, as a table has it; empty or None where it is not known

    Returns
    -------
    dict in the same order; None where it is not known
    """
    first: dict[str, str] = {}
    return {patient: _one(text, first) for patient, text in written.items()}


def _one(text: str | None, first: dict[str, str]) -> str | None:
    if not text:
        return None
    whole = re.sub(r"^(\d+)\.0+$", r"\1", text)
    return first.setdefault(whole.casefold(), whole)
