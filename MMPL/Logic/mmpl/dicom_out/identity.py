"""Where the patient's name and IDs stand in a text, however they are written there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SHORTEST_IN_NAME = 3  # letters and digits of a name's part or an ID that a new name must not hold
SHORTEST_IN_TEXT = 4  # characters of what is looked for in sentences
# parts of names that are nobody's: phantoms and images that are anonymous already have them
NOBODYS = frozenset({"phantom", "anonymous", "anonymised", "anonymized", "unknown"})
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def is_patients_own(new: str, patient_name: str, patient_id: str) -> bool:
    """Whether a new name tells who the patient is: only letters and digits count, in any case and without accents.

    It does where it holds the ID or a part of the name, of three or more letters and digits each; where it is a
    shorter one as a whole; and where all parts of the name are among its words ("Wu^Li" in "Li Wu 2").

    Parameters
    ----------
    patient_name : as DICOM has it, parts divided by "^" and spellings by "="
    """
    plain, words = _plain(new), {_plain(word) for word in _words(new)}
    own = {_plain(patient_id)} | {_plain(s) for part in _parts(patient_name) for s in _spellings(part)}
    if any((len(one) >= SHORTEST_IN_NAME and one in plain) or one == plain for one in own - NOBODYS - {""}):
        return True
    names = ({_plain(word) for word in _words(group)} for group in patient_name.split("="))
    return any(name <= words for name in names if len(name) > 1 and name.isdisjoint(NOBODYS))


def pattern_of(ids: Iterable[str], patient_name: str, case_id: str) -> re.Pattern | None:
    """Finds what identifies the patient in sentences; None where nothing does.

    IDs are found anywhere, also within longer words. Names and the case's name are not found within longer words or
    numbers, and "_" parts words: "SMITH_1.dcm" holds the name Smith, "blacksmith" does not.
    """
    names = {s for part in _parts(patient_name) for s in _spellings(part) if s.lower() not in NOBODYS} | {case_id}
    found = {one: re.escape(one) for one in ids} | {one: _alone(one) for one in names if one not in set(ids)}
    longest_first = sorted((one for one in found if len(one) >= SHORTEST_IN_TEXT), key=len, reverse=True)
    return re.compile("|".join(found[one] for one in longest_first), re.IGNORECASE) if longest_first else None


def _parts(patient_name: str) -> set[str]:
    """Parts of a name: "Smith-Jones^John" has Smith-Jones, Smith, Jones and John; "X-001" is a number and one part."""
    whole = set(re.split(r"[\^=\s]+", patient_name)) - {""}
    return whole | {word for part in whole if not re.search(r"\d", part) for word in _words(part)}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _spellings(part: str) -> set[str]:
    """A part as it is, without accents, and with two letters for an umlaut: Müller, Muller, Mueller."""
    composed = unicodedata.normalize("NFC", part)
    return {part, composed, _without_accents(part), _without_accents(composed.translate(_TWO_LETTERS))}


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _plain(text: str) -> str:
    return "".join(c for c in _without_accents(text).casefold() if c.isalnum())


def _alone(word: str) -> str:
    """The word where no letter touches its letters and no digit its digits."""
    return _border(word[:1], "(?<!{})") + re.escape(word) + _border(word[-1:], "(?!{})")


def _border(character: str, guard: str) -> str:
    if character.isdigit():
        return guard.format(r"\d")
    return guard.format(r"[^\W\d_]") if character.isalpha() else ""
