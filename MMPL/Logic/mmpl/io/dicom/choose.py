"""Which series is meant: by name, never guessed silently; and whether a CT and a PET belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmpl.dicom_source import as_compared
from mmpl.errors import InputError
from mmpl.io.dicom.series import PET, Listing, Series, list_series
from mmpl.notices import DICOM_PAIR, DICOM_SERIES, Notice

OPTION = {"CT": "--ct-series", "PET": "--pt-series"}


def choose(listing: Listing, kind: str, where: str, wanted: str | None = None) -> tuple[Series, tuple[Notice, ...]]:
    """The series of a kind ("CT", "PET") that is meant.

    Parameters
    ----------
    where : the folder, for messages
    wanted : series number, series UID or part of the description; None takes the only one there is

    Raises
    ------
    InputError
        If there is none, or several remain.
    """
    found = [one for one in listing.of(kind) if not one.scout and len(one.slices) > 1] or list(listing.of(kind))
    if not found:
        raise InputError(f"{kind} {where} holds no {kind} images: {_instead(listing)}")
    notices = _left_out(listing, kind, found)
    if wanted is not None:
        return _wanted(found, kind, where, wanted), notices
    corrected = [one for one in found if one.attenuation_corrected]
    if kind == PET and 0 < len(corrected) < len(found):
        left = len(found) - len(corrected)
        text = f"PET: {left} series without attenuation correction {'was' if left == 1 else 'were'} passed over."
        found, notices = corrected, (*notices, Notice(DICOM_SERIES, text))
    if len(found) > 1:
        raise InputError(
            f"{kind} {where} holds {len(found)} {kind} series: choose one with {OPTION[kind]} NUMBER, "
            f"or move it into a folder of its own; found {_listed(found)}"
        )
    return found[0], notices


def _left_out(listing: Listing, kind: str, found: Sequence[Series]) -> tuple[Notice, ...]:
    """What may be images of the series that is meant, and cannot be told to be."""
    texts = []
    if listing.damaged:
        files = "1 DICOM file is" if listing.damaged == 1 else f"{listing.damaged} DICOM files are"
        texts.append(f"{files} damaged and left out: look whether slices are missing at an end.")
    single = sum(len(one.slices) == 1 and not one.scout and one not in found for one in listing.of(kind))
    if single:
        what = "a series of a single image was" if single == 1 else f"{single} series of a single image were"
        texts.append(f"{kind}: {what} passed over: look whether slices are missing at an end.")
    return tuple(Notice(DICOM_SERIES, text) for text in texts)


def _wanted(found: Sequence[Series], kind: str, where: str, wanted: str) -> Series:
    exact = [one for one in found if wanted in (one.number, one.uid)]
    part = as_compared(wanted.strip())
    fitting = exact or [one for one in found if part in as_compared(one.description)]
    if len(fitting) == 1:
        return fitting[0]
    what = "no" if not fitting else f"{len(fitting)}"
    raise InputError(f"{kind} {where} holds {what} series {wanted!r}: found {_listed(fitting or found)}")


def choose_pair(
    ct_source: Path | Sequence[Path],
    pet_source: Path | Sequence[Path],
    *,
    ct_wanted: str | None = None,
    pet_wanted: str | None = None,
    any_pair: bool = False,
) -> tuple[Series, Series, tuple[Notice, ...]]:
    """A CT and a PET series of one patient, study and frame of reference.

    Of several CTs, the one that shares the PET's frame of reference is taken, and that is said; of several such, none.

    Raises
    ------
    InputError
        If there is no such pair, or more than one.
    """
    pets = list_series(pet_source)
    cts = pets if ct_source == pet_source else list_series(ct_source)
    pet, notices = choose(pets, PET, _where(pet_source), pet_wanted)
    if ct_wanted is None:
        cts, more = _fitting(cts, pet)
        notices += more
    ct, more = choose(cts, "CT", _where(ct_source), ct_wanted)
    found = (*notices, *more, *check_pair(ct, pet, any_pair=any_pair))
    return ct, pet, tuple(dict.fromkeys(found))


def _where(source) -> str:
    return str(source) if isinstance(source, str | Path) else "the list of files"


def _fitting(cts: Listing, pet: Series) -> tuple[Listing, tuple[Notice, ...]]:
    """The CTs that share the PET's frame of reference, where some do and some do not."""
    all_cts = [one for one in cts.of("CT") if not one.scout and len(one.slices) > 1]
    fitting = [one for one in all_cts if _same(one, pet) and one.frame_of_reference]
    if not fitting or len(fitting) == len(all_cts):
        return cts, ()
    left = len(all_cts) - len(fitting)
    text = f"CT: of {len(all_cts)} series, {left} of another frame of reference than the PET's were passed over."
    rest = tuple(one for one in cts.series if one.kind == "CT" and one not in all_cts)
    return Listing((*fitting, *rest), cts.others, cts.unreadable, cts.damaged), (Notice(DICOM_SERIES, text),)


def _same(one: Series, other: Series) -> bool:
    return one.frame_of_reference == other.frame_of_reference and not one.patient.is_another(other.patient)


def check_pair(ct: Series, pet: Series, *, any_pair: bool = False) -> tuple[Notice, ...]:
    """Do the two belong together?

    Raises
    ------
    InputError
        If patient or frame of reference differ, unless ``any_pair``: then it is a notice.
    """
    problems, notices = [], []
    if ct.patient.is_another(pet.patient):
        problems.append("they are of different patients")
    if ct.frame_of_reference and pet.frame_of_reference and ct.frame_of_reference != pet.frame_of_reference:
        problems.append("they have different frames of reference, so that nothing says how they lie to each other")
    if problems and not any_pair:
        raise InputError(
            f"CT ({ct.name}) and PET ({pet.name}) do not belong together: {' and '.join(problems)}; "
            "choose others, or use them anyway with --any-pair"
        )
    notices += [Notice(DICOM_PAIR, f"CT and PET were used together although {problem}.") for problem in problems]
    if not (ct.frame_of_reference and pet.frame_of_reference):
        notices.append(Notice(DICOM_PAIR, "CT or PET has no frame of reference: look whether they lie on each other."))
    if ct.study_uid != pet.study_uid:
        notices.append(Notice(DICOM_PAIR, "CT and PET are of different studies: look whether they are of one session."))
    return tuple(notices)


def _instead(listing: Listing) -> str:
    kinds = [f"{one.kind}: {one.name}" for one in listing.series]
    kinds += [f"{count} x {kind}" for kind, count in listing.others.items()]
    if listing.unreadable:
        kinds.append(f"{listing.unreadable} files that are no DICOM or damaged")
    return f"found {'; '.join(kinds)}" if kinds else "it is empty; give the folder of one image series, or a file"


def _listed(found: Sequence[Series]) -> str:
    return "; ".join(one.name for one in found)
