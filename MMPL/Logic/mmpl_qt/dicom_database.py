"""Slicer's DICOM database, as the presenter asks it."""

from __future__ import annotations

import slicer


def file_of_instance(uid: str) -> str:
    """Path of the file of a SOP instance, "" where the database has none."""
    database = getattr(slicer, "dicomDatabase", None)
    return "" if database is None else database.fileForInstance(uid) or ""
