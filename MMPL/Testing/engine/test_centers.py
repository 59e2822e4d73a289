"""One spelling for every center."""

from __future__ import annotations

from mmpl.centers import tidy_centers


def test_numbers_and_names_have_one_spelling():
    written = {"a": "3.0", "b": "3", "c": "CHUM", "d": "chum", "e": "", "f": None, "g": "3.5"}
    tidy = {"a": "3", "b": "3", "c": "CHUM", "d": "CHUM", "e": None, "f": None, "g": "3.5"}
    assert tidy_centers(written) == tidy
