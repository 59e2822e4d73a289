"""What the panel shows, as plain data: a front end renders it and knows nothing else.

Every text is ready to be read. ``None`` means that there is nothing to show.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmpl.results import RESEARCH_USE
from mmpl_slicer.input_report import Line

STOPPED, BUSY, IDLE, FAILED, NEEDS_SETUP = "stopped", "busy", "idle", "failed", "needs setup"
MODEL, EDITED, MANUAL, EMPTY = "model", "edited", "manual", "empty"


@dataclass(frozen=True)
class SuvField:
    """One value that converts a PET: ``value`` is None where it is still needed."""

    name: str
    label: str
    unit: str
    value: float | None
    from_header: bool


@dataclass(frozen=True)
class Choice:
    """One of several, such as a device: what to send, and what to show."""

    id: str
    label: str


@dataclass(frozen=True)
class InputsState:
    """PET, CT, model and device.

    Attributes
    ----------
    ct_id, pet_id : MRML node IDs, "" for none
    lines : the input check
    can_swap, can_use_anyway : which buttons stand below it
    suv_fields : shown when the PET is to be converted
    bundle_path : as chosen, "" for the bundled demo model
    bundle_title, bundle_card : the model's name and what it says of itself, as (label, text)
    bundle_problem : why it cannot be used, "" when it can
    """

    ct_id: str = ""
    pet_id: str = ""
    lines: tuple[Line, ...] = ()
    usable: bool = False
    can_swap: bool = False
    can_use_anyway: bool = False
    suv_fields: tuple[SuvField, ...] = ()
    bundle_path: str = ""
    bundle_title: str = ""
    bundle_card: tuple[tuple[str, str], ...] = ()
    bundle_problem: str = ""
    devices: tuple[Choice, ...] = ()
    device: str = ""


@dataclass(frozen=True)
class WorkState:
    """What the worker is doing.

    Attributes
    ----------
    worker : STOPPED, BUSY, IDLE, FAILED or NEEDS_SETUP
    can_cancel : something is drawn or saved, and the button is Cancel
    can_segment : the button can be pressed
    why_not : what is missing where it cannot
    step : what runs now, with what is left of it
    fraction : 0 to 1, None while it cannot be told
    """

    worker: str = STOPPED
    can_cancel: bool = False
    can_segment: bool = False
    why_not: str = ""
    step: str = ""
    fraction: float | None = None


@dataclass(frozen=True)
class ClassRow:
    """One class: figures as text, "" where they are not known."""

    label: int
    name: str
    color: tuple[float, float, float]
    volume: str
    suv_max: str
    mtv: str
    origin: str
    can_return: bool


@dataclass(frozen=True)
class LesionRow:
    """One connected lesion; ``centre_lps`` is where a click jumps to."""

    name: str
    volume: str
    suv_max: str
    mtv: str
    centre_lps: tuple[float, float, float]


@dataclass(frozen=True)
class SegmentRow:
    """One segment of a segmentation whose names say nothing: ``label`` is what it is taken for, 0 for unused."""

    segment_id: str
    name: str
    label: int


@dataclass(frozen=True)
class ContoursState:
    """GTVp and GTVn as they are drawn now.

    Attributes
    ----------
    segmentation_id : MRML node ID, "" for none
    question : the segments to be named, None when nothing is to be asked
    notes : overlap, another grid and the like
    drawn_by : who drew the model's contours and how, "" where there are none
    can_compare, comparing : the model's contours can be shown, and are
    """

    segmentation_id: str = ""
    classes: tuple[ClassRow, ...] = ()
    lesions: tuple[LesionRow, ...] = ()
    question: tuple[SegmentRow, ...] | None = None
    notes: tuple[str, ...] = ()
    drawn_by: str = ""
    can_compare: bool = False
    comparing: bool = False


@dataclass(frozen=True)
class FieldState:
    """One clinical field.

    Attributes
    ----------
    options : (value, label) of a categorical field, Unknown first; empty for a number
    value : what is in force, None for Unknown
    changed : it differs from the record
    """

    name: str
    label: str
    unit: str
    options: tuple[tuple[object, str], ...]
    value: object
    low: float = 0.0
    high: float = 0.0
    changed: bool = False


@dataclass(frozen=True)
class PatientState:
    """The clinical form; ``tried`` says in words which values differ from the record, "" for none."""

    case_id: str = ""
    fields: tuple[FieldState, ...] = ()
    tried: str = ""
    known_hpv: str | None = None
    hpv_as_known: bool = False


@dataclass(frozen=True)
class Driver:
    """One feature's share in a prediction, as text and as a signed share of the largest one, -1 to 1.

    ``feature`` is its name in words, ``column`` the one in ``features.csv``.
    """

    feature: str
    column: str
    value: str
    effect: str
    share: float


@dataclass(frozen=True)
class ResultsState:
    """HPV and RFS.

    Attributes
    ----------
    current : they are those of the contours and values as they are
    stale_text : why they are not, "" when they are
    hpv_probability, hpv_low, hpv_high, hpv_threshold : 0 to 1, None when not given
    hpv_text, rfs_text : one line each
    survival : (time, probability) as text
    chart_id : MRML node ID of the RFS chart
    deep_note : when the networks' scores are of earlier contours
    """

    available: bool = False
    current: bool = False
    stale_text: str = ""
    hpv_probability: float | None = None
    hpv_low: float | None = None
    hpv_high: float | None = None
    hpv_threshold: float | None = None
    hpv_text: str = ""
    hpv_known: str = ""
    rfs_text: str = ""
    risk_group: str = ""
    survival: tuple[tuple[str, str], ...] = ()
    hpv_drivers: tuple[Driver, ...] = ()
    rfs_drivers: tuple[Driver, ...] = ()
    warnings: tuple[str, ...] = ()
    chart_id: str = ""
    deep_note: str = ""


@dataclass(frozen=True)
class SaveState:
    """Whether there is something to save, and what became of the last save.

    ``no_dicom`` says why results cannot be written as DICOM, "" where they can; ``case_name`` is the name that results
    carry.
    """

    can_save: bool = False
    saving: bool = False
    text: str = ""
    report_path: str = ""
    no_dicom: str = ""
    case_name: str = ""


@dataclass(frozen=True)
class PanelState:
    """All of the panel, top to bottom; ``message`` is the one sentence that something went wrong."""

    inputs: InputsState = field(default_factory=InputsState)
    work: WorkState = field(default_factory=WorkState)
    contours: ContoursState = field(default_factory=ContoursState)
    patient: PatientState = field(default_factory=PatientState)
    results: ResultsState = field(default_factory=ResultsState)
    save: SaveState = field(default_factory=SaveState)
    message: str = ""
    auto_update: bool = True
    notice: str = RESEARCH_USE
