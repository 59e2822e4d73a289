"""``features.csv``: sorted, exact, empty where there is no number."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from mmpl.errors import OutputError
from mmpl.report.features_csv import features_csv, write_features_csv

FEATURES = {"b": 0.1, "a": math.nan, "c,d": np.float64(1 / 3), "e": None, "f": math.inf, "g": 2}


def test_text_is_as_written_by_hand():
    assert features_csv(FEATURES) == ('feature,value\na,\nb,0.1\n"c,d",0.3333333333333333\ne,\nf,\ng,2.0\n')


def test_order_of_the_mapping_does_not_matter():
    assert features_csv(dict(reversed(FEATURES.items()))) == features_csv(FEATURES)


def test_float32_reads_back_exactly(tmp_path):
    value = np.float32(0.1)
    path = write_features_csv(tmp_path / "features.csv", {"x": value})
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert np.float32(rows[0]["value"]) == value
    assert [p.name for p in tmp_path.iterdir()] == ["features.csv"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="features cannot be written"):
        write_features_csv(tmp_path / "no" / "features.csv", FEATURES)
