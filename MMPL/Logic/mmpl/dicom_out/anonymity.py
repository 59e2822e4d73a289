"""An export without the patient's identity: what takes the place of names, dates and UIDs.

What is written are objects of MMPL's own making, with what it takes from the CT's headers and from the results. So
little has to be removed, and all of it here, before any object is made: the writers never see what was removed.
Profile: DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile with the options Clean Structured
Content (the report's items are MMPL's measurements and sentences), Clean Descriptors (descriptions are MMPL's own) and
Retain Device Identity (of the exporting software, not of the scanner).
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from mmpl.clinical.fields import without_value
from mmpl.dicom_out.identity import is_patients_own, pattern_of
from mmpl.dicom_out.uids import keyed_uid
from mmpl.errors import InputError
from mmpl.notices import PET_NOT_SUV, SUV_DOUBT, UNSEEN_CATEGORY

DUMMY_DATE = "19000101"  # where the standard wants a date
DUMMY_TIME = "000000"
METHOD = "MMPL: PS3.15 Basic Profile; UIDs replaced by keyed hashes"
METHOD_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113104", "Clean Structured Content Option"),
    ("113105", "Clean Descriptors Option"),
    ("113109", "Retain Device Identity Option"),
)
EMPTIED = ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
REMOVED = ("IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
TIME_REMOVED, DATE_REMOVED, VALUE_REMOVED = "[time removed]", "[date removed]", "[value removed]"
_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_TIME_OF_DAY = re.compile(r"(?<![\d:])\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(?![\d:])")
_DATE = re.compile(
    r"(?<!version )(?<![\d.])(?:"
    r"\d{1,2}([./-])\d{1,2}\1(?:19|20)\d{2}|(?:19|20)\d{2}([./-])\d{1,2}\2\d{1,2}|\d{1,2}/\d{1,2}/\d{2}|\d\d\.\d\d\.\d\d"
    r"|(?<![^\W_])(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}(?:\d{2})?)?(?![^\W_])"  # DICOM's
    r")(?!\d)"
)
_OF_THE_BODY = re.compile(r"\b(?:kg|weight|height)\b|PatientWeight|PatientSize")
_QUOTED = re.compile(r"""(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|"(?:[^"\\]|\\.)*\"""")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?(?!\w)")


@dataclass(frozen=True)
class Anonymity:
    """The case's new name, and the key of its UIDs.

    Attributes
    ----------
    name : takes the place of the patient's name and ID
    key : of the keyed hash that replaces UIDs; random unless given. Exports with one key refer to one another.

    Raises
    ------
    InputError
        If the name is empty, too long or has other characters than letters, digits, space, dot, dash and underscore,
        or the key has fewer than 16 bytes.
    """

    name: str
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self):
        if not _ALLOWED.fullmatch(self.name):
            raise InputError(
                "the name for an anonymised export must have 1 to 64 letters, digits, spaces, dots, dashes or "
                "underscores and begin with a letter or digit"
            )
        if len(self.key) < 16:
            raise InputError(f"the key for an anonymised export has {len(self.key)} bytes: give 16 or more random ones")

    def header(self, header: Dataset, invalid: Mapping[str, str] | None = None) -> Dataset:
        """A source header without identity; the given one stays as it is.

        Parameters
        ----------
        invalid : keyword -> name and IDs of the source that the header lacks: they are the patient's all the same

        Raises
        ------
        InputError
            If the new name holds the patient's own name or ID.
        """
        name, ids = _name(header, invalid), _values(header, invalid, ("PatientID",))
        if any(is_patients_own(self.name, name, one) for one in ids):
            raise InputError(
                "the name for an anonymised export holds the patient's own name or ID: name the case otherwise"
            )
        anonymous = copy.deepcopy(header)  # a shallow copy shares its elements
        for keyword in REMOVED:
            anonymous.pop(keyword, None)
        for keyword in EMPTIED:
            setattr(anonymous, keyword, "")
        for keyword in UIDS:
            setattr(anonymous, keyword, keyed_uid(str(header[keyword].value), self.key))
        anonymous.PatientName = anonymous.PatientID = self.name
        anonymous.ReferringPhysicianName = ""
        anonymous.PositionReferenceIndicator = ""
        self._say(anonymous)
        return anonymous

    def texts(
        self, texts: list[str], header: Dataset, case_id: str, invalid: Mapping[str, str] | None = None
    ) -> list[str]:
        """Sentences in which the new name stands for whatever identifies the patient; without dates and times of day.

        Values of fewer than four characters are left: "12" or "A" would spoil numbers and words, and tell nothing.
        """
        ids = _values(header, invalid, ("PatientID", "AccessionNumber", "StudyID", *UIDS))
        pattern = pattern_of(ids, _name(header, invalid), case_id)
        between = [[text] if pattern is None else pattern.split(text) for text in texts]
        return [self.name.join(map(_without_dates, parts)) for parts in between]

    def _say(self, header: Dataset) -> None:
        header.PatientIdentityRemoved = "YES"
        header.DeidentificationMethod = METHOD
        header.DeidentificationMethodCodeSequence = [_dcm_code(value, meaning) for value, meaning in METHOD_CODES]
        header.LongitudinalTemporalInformationModified = "REMOVED"


def without_values(warnings: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Warnings of ``results.json`` without what they quote of the clinical record and of the patient's body."""
    return [{**one, "text": _without_value(one["code"], one["text"])} for one in warnings]


def _without_value(code: str, text: str) -> str:
    if code == UNSEEN_CATEGORY:
        return without_value(text)
    if code not in (SUV_DOUBT, PET_NOT_SUV):
        return text
    unquoted = _QUOTED.sub(VALUE_REMOVED, text)
    return _NUMBER.sub(VALUE_REMOVED, unquoted) if _OF_THE_BODY.search(text) else unquoted


def _without_dates(text: str) -> str:
    return _TIME_OF_DAY.sub(TIME_REMOVED, _DATE.sub(DATE_REMOVED, text))


def _name(header: Dataset, invalid: Mapping[str, str] | None) -> str:
    """One name of several has parts as another spelling has."""
    return "=".join(_values(header, invalid, ("PatientName",)))


def _values(header: Dataset, invalid: Mapping[str, str] | None, keywords: tuple[str, ...]) -> set[str]:
    given = ((invalid or {}).get(keyword) or str(header[keyword].value) for keyword in keywords)
    return {value for one in given for value in (one, *one.split("\\"))}


def _dcm_code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
