"""Primary site and known HPV status: what a record says of the tumour, in the words and codes that hospitals write.

Neither is a feature. The site decides whether an HPV probability is given, so what is not understood is another site;
the status is shown beside the prediction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mmpl.clinical.fields import HPV_STATUS, PRIMARY_SITE, by_known_name, canonical_name, is_unknown
from mmpl.errors import ClinicalError

# ICD-10 and ICD-O-3 topography: base of tongue, lingual tonsil, soft palate, uvula, tonsil, oropharynx
_CODE = re.compile(r"\bc\d\d(?:\.?\d+)?\b")
_OROPHARYNX_CODE = re.compile(r"c01(\.?9)?|c02\.?4|c05\.?[12]|c09(\.?\d)?|c10(\.?\d)?")
_SEPARATOR = re.compile(r"[,;:/+&()\[\]]|\s-+\s|\band\b")
_SAYS_NOTHING = {  # of where the tumour is: side, histology, and the words around them
    *("left", "right", "l", "r", "lt", "rt", "bilateral", "sided", "palatine", "primary", "site", "of", "the", "nos"),
    *("squamous", "cell", "carcinoma", "scc", "ca", "cancer", "tumour", "tumor"),
}
_OROPHARYNX = frozenset(
    {
        "oropharynx",
        "oropharyngeal",
        "oro pharynx",
        "opc",
        "opscc",
        "tonsil",
        "tonsils",
        "tonsillar",
        "tonsillar fossa",
        "tonsillar pillar",
        "tonsil fossa",
        "tonsil pillar",
        "lingual tonsil",
        "glossotonsillar sulcus",
        "base tongue",
        "tongue base",
        "bot",
        "vallecula",
        "soft palate",
        "uvula",
        "oropharyngeal wall",
        "lateral oropharyngeal wall",
        "posterior oropharyngeal wall",
    }
)
_NO_SITE = frozenset({"unknown", "cup", "not stated", "not specified", "not recorded"})
_HPV_SPELLINGS = {
    "positive": frozenset({"1", "1.0", "positive", "pos", "+", "+ve", "yes", "true", "associated", "related"}),
    "negative": frozenset({"0", "0.0", "negative", "neg", "-", "-ve", "no", "false", "unrelated"}),
}
_HPV_TEST = re.compile(r"^(?:hpv|p16)(?:[\s/_-]*(?:hpv|p16|ink4a|16|status))*\s*[:=]?(?:[\s-]*(?=[a-z]{3}))?")
_NOT_TESTED = frozenset(
    {"not tested", "untested", "not done", "not performed", "pending", "indeterminate", "equivocal"}
)


def primary_site(raw: Mapping[str, object]) -> str | None:
    """The primary site of a raw record: "oropharynx", "other", or None when it is not given or not known.

    Oropharynx is a text of which every part, between commas, slashes, brackets and the like, is a subsite of the
    oropharynx or its ICD code; side and histology ("left", "SCC") are passed over.

    Raises
    ------
    ClinicalError
        If the value is not a text.
    """
    value = by_known_name(raw).get(PRIMARY_SITE)
    if is_unknown(value):
        return None
    if not isinstance(value, str):
        raise ClinicalError(f'{PRIMARY_SITE} is {value!r}: give a text such as "oropharynx", or leave it empty')
    codes, parts = _read(value.lower())
    if not codes and parts and parts <= _NO_SITE:
        return None
    known = bool(codes or parts) and all(map(_OROPHARYNX_CODE.fullmatch, codes)) and parts <= _OROPHARYNX
    return "oropharynx" if known else "other"


def with_primary_site(raw: Mapping[str, object], site: str) -> dict[str, object]:
    """A raw record with that primary site, in place of what it says under any spelling of the field."""
    without = {key: value for key, value in raw.items() if canonical_name(key) != PRIMARY_SITE}
    return {**without, PRIMARY_SITE: site}


def known_hpv(raw: Mapping[str, object]) -> str | None:
    """The HPV (or p16) status that a raw record states: "positive", "negative", or None when not given or not tested.

    Raises
    ------
    ClinicalError
        If the value is given and is none of these.
    """
    value = by_known_name(raw).get(HPV_STATUS)
    if is_unknown(value, _NOT_TESTED):
        return None
    text = str(value).strip().lower()
    text = _HPV_TEST.sub("", text).strip() or text
    for status, spellings in _HPV_SPELLINGS.items():
        if text in spellings:
            return status
    if is_unknown(text, _NOT_TESTED):
        return None
    raise ClinicalError(f'{HPV_STATUS} is {value!r}: give "positive" (1) or "negative" (0), or leave it empty')


def _read(text: str) -> tuple[list[str], set[str]]:
    """The ICD codes in a text, and its other parts without the words that say nothing of the site."""
    parts = (
        " ".join(word for word in re.findall(r"[^\s.-]+", part) if word not in _SAYS_NOTHING)
        for part in _SEPARATOR.split(_CODE.sub(",", text))
    )
    return _CODE.findall(text), {part for part in parts if part}
