"""An answer for every case, as a challenge wants it: where :mod:`mmpl.pipeline` gives none and says why, a fallback.

A missing HPV status or risk is a result for a clinician and a failed submission in a challenge. Each fallback is the
bundle's own models, given what is known of the case: what is not known is the training median of each member, as
for any other missing value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mmpl import pipeline
from mmpl.case import Case
from mmpl.challenge_inputs import Images
from mmpl.clinical.tumour import primary_site
from mmpl.columns import DEEP_DAYS, DEEP_HPV
from mmpl.ensemble import Ensemble
from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.io.case import case_from_volumes
from mmpl.notices import Notice
from mmpl.pipeline import DeepScores, Drawing, Outcome, PreparedCase
from mmpl.progress import Progress, silent
from mmpl.results import HpvResult, RfsResult

POSITIVE = "positive"
HOW = "the models take what is known of the case, and training medians for the rest"
BY_RECORD = "RFS and HPV status go by the clinical record alone, with training medians for all that images would tell."


@dataclass(frozen=True)
class Answer:
    """What the challenge asks of a case.

    Attributes
    ----------
    label_map : Volume, uint8 (1 GTVp, 2 GTVn) on exactly the CT's grid
    risk : higher = earlier relapse; None where outcomes were not asked for
    hpv_positive : likewise
    notices : warnings of the pipeline
    fallbacks : one sentence for each answer that the pipeline did not give
    """

    label_map: Volume
    risk: float | None = None
    hpv_positive: bool | None = None
    notices: tuple[Notice, ...] = ()
    fallbacks: tuple[str, ...] = ()


def answer(
    images: Images, clinical: dict, ensemble: Ensemble, *, outcomes: bool = True, progress: Progress = silent
) -> Answer:
    """What :func:`mmpl.pipeline.predict` says of a case, and a fallback for all that it does not say.

    Parameters
    ----------
    clinical : a record whose fields were checked
    outcomes : whether RFS and HPV are asked for; contours alone are done sooner
    """
    try:
        progress("preparing images", 0.0)
        case = case_from_volumes(images.name, images.ct, images.pet, clinical=clinical)
        prepared = pipeline.prepare_case(case, ensemble)
        drawing = pipeline.draw_contours(prepared, ensemble, done=lambda f: progress("segmenting", f))
    except InputError as error:
        empty = Volume(np.zeros(images.ct.geometry.shape, np.uint8), images.ct.geometry)
        fallback = f"No lesion is drawn: {error}."
        return _from_record(Answer(empty, fallbacks=(fallback,)), images, clinical, ensemble, outcomes=outcomes)
    if not outcomes:
        return Answer(drawing.label_map, notices=(*prepared.roi.notices, *drawing.notices))
    return _with_outcomes(prepared, drawing, images, ensemble, progress)


def _with_outcomes(
    prepared: PreparedCase, drawing: Drawing, images: Images, ensemble: Ensemble, progress: Progress
) -> Answer:
    try:
        outcome = pipeline.measure_drawing(prepared, drawing, ensemble, progress=progress)
        return _complete(prepared, outcome, ensemble)
    except InputError as error:
        fallback = f"The contours are not measured: {error}."
        drawn = Answer(drawing.label_map, notices=drawing.notices, fallbacks=(fallback,))
        return _from_record(drawn, images, prepared.case.clinical, ensemble, outcomes=True)


def _complete(prepared: PreparedCase, outcome: Outcome, ensemble: Ensemble) -> Answer:
    """The outcome's risk and HPV status; where one is null, what the models say nonetheless."""
    hpv, rfs = outcome.results.hpv, outcome.results.rfs
    fallbacks = []
    if hpv.status is None or rfs.risk is None:
        deep = outcome.deep or pipeline.read_deep_scores(prepared, outcome.label_map, ensemble)
        anyway_hpv, anyway_rfs = _outcome_of_known(prepared.case, deep, outcome.features, ensemble)
        if rfs.risk is None:
            fallbacks.append(f"RFS is given although {rfs.reason}: {HOW}.")
            rfs = anyway_rfs
        if hpv.status is None:
            fallbacks.append(f"HPV status is given although {hpv.reason}: {HOW}.")
            hpv = anyway_hpv
    return Answer(outcome.label_map, rfs.risk, hpv.status == POSITIVE, outcome.results.warnings, tuple(fallbacks))


def _from_record(drawn: Answer, images: Images, clinical: dict, ensemble: Ensemble, *, outcomes: bool) -> Answer:
    """Risk and HPV status by the clinical record alone."""
    if not outcomes:
        return drawn
    nothing = {DEEP_HPV: math.nan, DEEP_DAYS: math.nan}
    deep = DeepScores((math.nan,) * 3, (nothing,) * len(ensemble.members))
    case = Case(images.name, images.ct, images.pet, clinical=clinical)
    hpv, rfs = _outcome_of_known(case, deep, {}, ensemble)
    return replace(drawn, risk=rfs.risk, hpv_positive=hpv.status == POSITIVE, fallbacks=(*drawn.fallbacks, BY_RECORD))


def _outcome_of_known(
    case: Case, deep: DeepScores, features: dict[str, float], ensemble: Ensemble
) -> tuple[HpvResult, RfsResult]:
    """What the members say of any case, of any primary site; missing values are their training medians."""
    clinical = {name: value for name, value in case.clinical.items() if primary_site({name: value}) is None}
    hpv, rfs, _, _ = pipeline.outcome(replace(case, clinical=clinical), deep, None, features, ensemble)
    return hpv, rfs
