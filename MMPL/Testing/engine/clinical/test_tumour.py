"""Primary site and HPV status, in the words that hospitals write."""

from __future__ import annotations

import pytest

from mmpl.clinical.tumour import known_hpv, primary_site, with_primary_site
from mmpl.errors import ClinicalError


@pytest.mark.parametrize(
    "text",
    [
        "Oropharynx",
        "OPC",
        "OPSCC",
        "oropharyngeal cancer",
        "Oropharyngeal squamous cell carcinoma",
        "base of tongue",
        "Base-of-tongue",
        "BOT",
        "left tonsil",
        "Tonsil (left)",
        "Palatine tonsil, R",
        "SCC of the left tonsillar fossa",
        "Oropharynx - tonsil",
        "tonsil / soft palate",
        "C09.9",
        "C10.9 Oropharynx, NOS",
        "C01",
        "C099",
        "c05.1 (soft palate)",
    ],
)
def test_a_subsite_of_the_oropharynx(text):
    assert primary_site({"Primary Site": text}) == "oropharynx"


@pytest.mark.parametrize(
    "text",
    [
        "Larynx",
        "nasopharynx",
        "hypopharynx",
        "oral cavity",
        "tongue",
        "hard palate",
        "not oropharynx",
        "tonsil, larynx",
        "posterior pharyngeal wall",  # of the oropharynx or of the hypopharynx
        "C32.1",
        "C05.0",  # hard palate
        "C02.9",  # tongue
        "C09.9, C32.0",
        "C10.9 hypopharynx",
        "left",  # no site at all: nothing says that it is the oropharynx
        "SCC",
    ],
)
def test_what_is_not_all_oropharynx_is_another_site(text):
    assert primary_site({"Primary Site": text}) == "other"


@pytest.mark.parametrize(
    "value", [None, "", " ", "unknown", float("nan"), "Unknown primary (CUP)", "SCC of unknown primary", "Not stated"]
)
def test_no_primary_site(value):
    assert primary_site({"Primary Site": value}) is None


def test_primary_site_refuses_a_number():
    with pytest.raises(ClinicalError, match="Primary Site is 3"):
        primary_site({"Primary Site": 3})


def test_a_given_site_replaces_any_spelling():
    assert with_primary_site({"primary_site": "larynx", "Age": 60}, "tonsil") == {"Age": 60, "Primary Site": "tonsil"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1, "positive"),
        (True, "positive"),
        ("p16+", "positive"),
        ("p16 positive", "positive"),
        ("P16-positive", "positive"),
        ("p16 +ve", "positive"),
        ("p16-ve", "negative"),
        ("HPV 16: pos", "positive"),
        ("HPV/p16 positive", "positive"),
        ("HPV-associated", "positive"),
        ("0.0", "negative"),
        ("Negative", "negative"),
        ("p16-", "negative"),
        ("HPV -", "negative"),
        ("p16 - negative", "negative"),
        (None, None),
        ("", None),
        ("not tested", None),
        ("p16 not done", None),
        ("HPV status unknown", None),
        ("Equivocal", None),
    ],
)
def test_known_hpv(raw, expected):
    assert known_hpv({"HPV Status": raw}) == expected


@pytest.mark.parametrize(
    "value", ["perhaps", "p16+ / HPV-", "p16", "HPV16", 2, -1, -1.0, "-1", "- 1", "HPV -1", "-yes", "non-negative"]
)
def test_known_hpv_refuses_what_is_neither(value):
    with pytest.raises(ClinicalError, match="HPV Status is"):
        known_hpv({"HPV Status": value})
