"""The ways of telling SUV that a reader must cope with, by words that fit the rows of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mmpl.phantom.dicom.body import Body
from mmpl.phantom.dicom.variant import CORRECTIONS, PetVariant

PHILIPS = "Philips Medical Systems"
GE = "GE MEDICAL SYSTEMS"
SIEMENS = "SIEMENS"

PLAIN = PetVariant()
WOMAN = Body(58.5, 1.63, "F")
LATE_EVENING = datetime(2024, 3, 5, 23, 21, 40)
FIVE_BEDS = (150.0, 150.0, 120.0, 120.0, 180.0)


def _variant(**changes) -> PetVariant:
    return replace(PLAIN, **changes)


# A reader finds the truth of each of these from the header alone.
PET_VARIANTS: dict[str, PetVariant] = {
    "plain": PLAIN,
    "one slope for the series": _variant(slope="series"),
    "decay-corrected to the injection": _variant(decay_correction="ADMIN", frame_s=FIVE_BEDS),
    "five beds": _variant(frame_s=FIVE_BEDS),
    "not decay-corrected": _variant(decay_correction="NONE"),
    "not decay-corrected, five beds": _variant(decay_correction="NONE", frame_s=FIVE_BEDS, gap_s=11.0),
    "series time after the scan": _variant(series_time="after scan"),
    "series time after the scan, GE scan time": _variant(
        series_time="after scan", ge_scan_time=True, frame_s=FIVE_BEDS, manufacturer=GE
    ),
    "first beds not in the series": _variant(beds_before=6, frame_s=(120.0, 120.0)),
    "first beds not in the series, series time after the scan": _variant(
        beds_before=6, frame_s=(120.0, 120.0), series_time="after scan"
    ),
    "GE scan time": _variant(ge_scan_time=True, frame_s=FIVE_BEDS, manufacturer=GE),
    "Siemens decay correction time": _variant(siemens_decay_time=True, frame_s=FIVE_BEDS, manufacturer=SIEMENS),
    "injection as a time": _variant(injection="time"),
    "injection as a date and time": _variant(injection="datetime"),
    "injection before midnight, as a time": _variant(injected_at=LATE_EVENING, injection="time"),
    "injection before midnight, as a date and time": _variant(injected_at=LATE_EVENING, injection="datetime"),
    "midnight between two beds": _variant(
        injected_at=datetime(2024, 3, 5, 22, 53, 10), frame_s=FIVE_BEDS, decay_correction="NONE", injection="time"
    ),
    "midnight between two beds, decay-corrected": _variant(
        injected_at=datetime(2024, 3, 5, 22, 53, 10), frame_s=FIVE_BEDS, injection="time"
    ),
    "injection in another time zone": _variant(timezone="+0100", injection_timezone="+0000", injection="datetime"),
    "time zone": _variant(timezone="-0500"),
    "Ga-68": _variant(nuclide="Ga-68", dose_bq=1.4e8, frame_s=FIVE_BEDS),
    "Ga-68, half-life missing": _variant(nuclide="Ga-68", dose_bq=1.4e8, omitted=("RadionuclideHalfLife",)),
    "C-11, not decay-corrected": _variant(
        nuclide="C-11", dose_bq=6.1e8, uptake_s=600.0, decay_correction="NONE", frame_s=(300.0, 300.0)
    ),
    "half-life missing": _variant(omitted=("RadionuclideHalfLife",)),
    "half-life missing, older code": _variant(omitted=("RadionuclideHalfLife",), code_scheme="SRT"),
    "nuclide code missing": _variant(omitted=("RadionuclideCodeSequence",)),
    "SUV by weight": _variant(units="GML", suv_type="BW"),
    "SUV, type absent": _variant(units="GML"),
    "SUV by lean body mass, man": _variant(units="GML", suv_type="LBM"),
    "SUV by lean body mass, woman": _variant(units="GML", suv_type="LBM", body=WOMAN),
    "SUV by lean body mass (James 128), man": _variant(units="GML", suv_type="LBMJAMES128"),
    "SUV by lean body mass (James 128), woman": _variant(units="GML", suv_type="LBMJAMES128", body=WOMAN),
    "SUV by lean body mass (Janmahasatian), man": _variant(units="GML", suv_type="LBMJANMA"),
    "SUV by lean body mass (Janmahasatian), woman": _variant(units="GML", suv_type="LBMJANMA", body=WOMAN),
    "SUV by ideal body weight, man": _variant(units="GML", suv_type="IBW"),
    "SUV by ideal body weight, woman": _variant(units="GML", suv_type="IBW", body=WOMAN),
    "SUV by body surface": _variant(units="CM2ML", suv_type="BSA"),
    "SUV by body surface, type absent": _variant(units="CM2ML", body=WOMAN),
    "Philips counts, SUV factor": _variant(units="CNTS", philips_factors="suv", manufacturer=PHILIPS),
    "Philips counts, activity factor": _variant(units="CNTS", philips_factors="activity", manufacturer=PHILIPS),
    "Philips counts, both factors": _variant(
        units="CNTS", philips_factors="both", frame_s=FIVE_BEDS, manufacturer=PHILIPS
    ),
    "Philips counts, activity factor, not decay-corrected": _variant(
        units="CNTS", philips_factors="activity", decay_correction="NONE", frame_s=FIVE_BEDS, manufacturer=PHILIPS
    ),
    "DECAY for DECY": _variant(corrected_image=(*CORRECTIONS, "DECAY")),
}

# Of these a reader cannot know the truth, or only by taking the header for wrong.
FAULTY_PET_VARIANTS: dict[str, PetVariant] = {
    "dose in MBq": _variant(dose_in_mbq=True),
    "weight missing": _variant(omitted=("PatientWeight",)),
    "dose missing": _variant(omitted=("RadionuclideTotalDose",)),
    "injection time missing": _variant(omitted=("RadiopharmaceuticalStartTime",), injection="time"),
    "half-life and nuclide missing": _variant(omitted=("RadionuclideHalfLife", "RadionuclideCodeSequence")),
    "height missing, SUV by lean body mass": _variant(units="GML", suv_type="LBM", omitted=("PatientSize",)),
    "sex missing, SUV by lean body mass": _variant(units="GML", suv_type="LBM", omitted=("PatientSex",)),
    "counts without a factor": _variant(units="CNTS", manufacturer=PHILIPS),
    "counts with factors of zero": _variant(units="CNTS", philips_factors="zero", manufacturer=PHILIPS),
    "no attenuation correction": _variant(corrected_image=("NORM", "DTIM", "RAN", "DECY")),
    "not decay-corrected, acquisition time missing": _variant(decay_correction="NONE", omitted=("AcquisitionTime",)),
    "series time after the scan, nothing to find the start by": _variant(
        series_time="after scan", beds_before=6, omitted=("FrameReferenceTime", "DecayFactor")
    ),
}
