"""Whether two DICOM objects name one patient."""

from __future__ import annotations

import pytest

from mmpl.dicom_source import Patient


@pytest.mark.parametrize(
    ("one", "other", "another"),
    [
        (Patient("1", "DOE^JANE"), Patient("2", "DOE^JANE"), True),
        (Patient("1", "DOE^JANE"), Patient("1", "DOE^J"), False),  # a name is written in many ways
        (Patient("", "DOE^JANE"), Patient("1", "ROE^RICHARD"), True),
        (Patient("", "DOE^JANE"), Patient("1", "Doe^Jane^^"), False),
        (Patient("", "DOE^JANE"), Patient("DOE^JANE", ""), False),
        (Patient("", "DOE^JANE"), Patient("1", ""), False),
        (Patient(), Patient("1", "DOE^JANE"), False),
        (Patient(), Patient(), False),
        (Patient("", "M\u00fcller^J"), Patient("", "MU\u0308LLER^J"), False),  # an umlaut in one character and in two
        (Patient("\u00dc-12"), Patient("U\u0308-12"), False),
        (Patient("\u00dc-12"), Patient("U-12"), True),
    ],
)
def test_ids_are_compared_with_ids_and_names_with_names(one, other, another):
    assert (one.is_another(other), other.is_another(one)) == (another, another)
