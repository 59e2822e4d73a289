"""The feature table of one case: two columns, one row a feature."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path

from mmpl.errors import OutputError
from mmpl.io.output import to_disk


def features_csv(features: Mapping[str, float | None]) -> str:
    """Text of ``features.csv``: columns feature and value, sorted by name.

    Values are the shortest text that reads back to the same float64; NaN, infinities and None are empty.
    The same features give the same bytes, whatever their order in the mapping.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("feature", "value"))
    writer.writerows((name, _number(features[name])) for name in sorted(features))
    return table.getvalue()


def write_features_csv(path: str | Path, features: Mapping[str, float | None]) -> Path:
    """Write ``features.csv`` whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written there.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(features_csv(features), encoding="utf-8", newline="")
        to_disk(part)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"features cannot be written to {path}: {error.strerror}; choose a writable folder"
        ) from error
    return path


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return repr(float(value))
