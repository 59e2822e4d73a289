"""Which patients are scored: those with a prediction and a truth, and nobody is left out silently."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mmpl.errors import InputError

SHOWN = 3
TRUTH_UNKNOWN = "left out: truth unknown"


@dataclass(frozen=True)
class Paired:
    """Patients to score, sorted, and those left out by what is the matter with them."""

    patient_ids: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]

    def counts(self) -> dict[str, int]:
        """For the record of an evaluation."""
        return {"patients scored": len(self.patient_ids), **{what: len(ids) for what, ids in self.left_out.items()}}


def pair_patients(
    given: Mapping[str, bool],
    known: Collection[str],
    unknown: Collection[str],
    *,
    prediction: str,
    truth: str,
    only_common: bool,
) -> Paired:
    """Match predictions with truths by PatientID.

    Patients whose truth is unknown are left out and counted. Any other mismatch is refused, unless
    ``only_common``; then it is counted.

    Parameters
    ----------
    given : by patient, whether there is a prediction (False: the patient is named, the prediction is not given)
    known, unknown : patients of the truth, by whether their truth is known
    prediction, truth : what they are called in messages: "an HPV probability in P.csv"
    only_common : score the patients that have both

    Raises
    ------
    InputError
        If they do not match, or no patient has both.
    """
    everybody = set(known) | set(unknown)
    without_prediction = sorted(p for p in known if not given.get(p, False))
    without_truth = sorted(p for p in given if p not in everybody)
    scored = sorted(p for p in known if given.get(p, False))
    if not scored:
        raise InputError(f"no patient has both {prediction} and {truth}: check that the PatientIDs are the same")
    if without_prediction and not only_common:
        raise InputError(
            f"{few_of(without_prediction, len(known))} with {truth} lack {prediction}; give them all, or "
            "--only-common to score the others"
        )
    if without_truth and not only_common:
        raise InputError(
            f"{few_of(without_truth, len(given))} with {prediction} do not occur where {truth} is looked for; "
            "take them out, or give --only-common to score the others"
        )
    unknown_of_predicted = sorted(p for p in unknown if p in given)
    left_out = {
        TRUTH_UNKNOWN: tuple(unknown_of_predicted),
        "left out: no prediction": tuple(without_prediction),
        "left out: not in the truth": tuple(without_truth),
    }
    return Paired(tuple(scored), left_out)


def few_of(patient_ids: Sequence[str], total: int) -> str:
    """ "5 of 60 patients (A, B, C, ...)"."""
    shown = ", ".join(patient_ids[:SHOWN]) + (", ..." if len(patient_ids) > SHOWN else "")
    return f"{len(patient_ids)} of {total} patients ({shown})"
