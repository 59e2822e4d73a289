"""What a bundle says of itself: ``bundle.json`` as a typed, validated record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import jsonschema

from mmpl.bundle.parts import (
    FORMAT_VERSION,
    CohortSurvival,
    Thresholds,
    check_cohort_survival,
    check_format_version,
    check_risk_tertiles,
)
from mmpl.errors import BundleError
from mmpl.results import json_ready


@dataclass(frozen=True)
class MemberInfo:
    """One model of the ensemble.

    Attributes
    ----------
    name : unique in the bundle
    files : role -> path in the bundle. "segmentation", "hpv" and "rfs" are the three weight sets
        (.safetensors); further roles name fitted statistics (.json, .npz).
    """

    name: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class BundleInfo:
    """All of ``bundle.json`` but the checksums.

    Attributes
    ----------
    name, version, created : created is an ISO date
    description, training_data, intended_use, licence : sentences for the model card
    limitations : sentences for the model card
    phantom : True when it was trained on synthetic data
    folds : number of folds of each split, of the one with the most where they differ; a member is one of them
    network, preprocessing, radiomics : settings, as their packages read them
    clinical : names of the clinical fields
    thresholds : probability thresholds
    risk_tertiles : the two cut points between low, intermediate and high risk, ascending
    time_zero : what RFS days count from
    rfs_last_day : last training event, days
    members : the ensemble
    scores : held-out figures
    cohort_survival : recurrence-free survival of the training cohort; None in a bundle that does not say
    """

    name: str
    version: str
    created: str
    description: str
    training_data: str
    phantom: bool
    folds: int
    intended_use: str
    limitations: tuple[str, ...]
    licence: str
    network: Mapping[str, object]
    preprocessing: Mapping[str, object]
    radiomics: Mapping[str, object]
    clinical: tuple[str, ...]
    thresholds: Thresholds
    risk_tertiles: tuple[float, float]
    time_zero: str
    rfs_last_day: float
    members: tuple[MemberInfo, ...]
    scores: Mapping[str, object]
    cohort_survival: CohortSurvival | None = None

    def as_dict(self, files: Mapping[str, str]) -> dict:
        """The content of ``bundle.json``, given path -> sha256 of every other file."""
        raw = dataclasses.asdict(self)
        if self.cohort_survival is None:
            del raw["cohort_survival"]
        return json_ready({**raw, "format_version": FORMAT_VERSION, "files": dict(files)})


def parse_info(raw: object, where: str) -> tuple[BundleInfo, dict[str, str]]:
    """Validate ``bundle.json``.

    Parameters
    ----------
    raw : the parsed JSON
    where : what to call the bundle in a message

    Returns
    -------
    (BundleInfo, dict) : the record, and path -> sha256 of every other file

    Raises
    ------
    BundleError
        If it is of another format version, breaks the schema or contradicts itself.
    """
    check_format_version(raw, where)
    error = jsonschema.exceptions.best_match(_validator().iter_errors(raw))
    if error is not None:
        place = "/".join(str(p) for p in error.absolute_path) or "bundle.json"
        raise BundleError(f"bundle {where} does not follow its schema at {place}: {_short(error.message)}")
    info = _info(raw)
    _check_consistent(info, raw["files"], where)
    return info, raw["files"]


def fits_schema(name: str, value: object) -> bool:
    """Whether a field of ``bundle.json`` may have this value, for whoever will write one much later."""
    return _validator().evolve(schema=_validator().schema["properties"][name]).is_valid(value)


@cache
def _validator() -> jsonschema.Draft202012Validator:
    text = resources.files("mmpl.bundle").joinpath("bundle.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _info(raw: dict) -> BundleInfo:
    curve = raw.get("cohort_survival")
    plain = {key: value for key, value in raw.items() if key not in ("format_version", "files")}
    return BundleInfo(
        **{
            **plain,
            "limitations": tuple(raw["limitations"]),
            "clinical": tuple(raw["clinical"]),
            "thresholds": Thresholds(**raw["thresholds"]),
            "risk_tertiles": tuple(raw["risk_tertiles"]),
            "members": tuple(MemberInfo(m["name"], m["files"]) for m in raw["members"]),
            "cohort_survival": None if curve is None else CohortSurvival.from_dict(curve),
        }
    )


def _check_consistent(info: BundleInfo, files: Mapping[str, str], where: str) -> None:
    check_risk_tertiles(*info.risk_tertiles, where)
    if info.cohort_survival is not None:
        check_cohort_survival(info.cohort_survival, where)
    names = [member.name for member in info.members]
    if len(set(names)) != len(names):
        raise BundleError(f"bundle {where}: two members share a name ({', '.join(names)})")
    for member in info.members:
        for role, path in member.files.items():
            if path not in files:
                raise BundleError(
                    f"bundle {where}: member {member.name} names {path} as its {role}, which is not in files"
                )


def _short(message: str, most: int = 160) -> str:
    message = " ".join(message.split())
    return message if len(message) <= most else message[: most - 3] + "..."
