"""The model card of a bundle, written from what the bundle says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from mmpl.bundle.info import BundleInfo
from mmpl.results import HPV_SCALE, RESEARCH_USE

PHANTOM_WARNING = (
    "**Trained on synthetic phantoms. Its outputs on patients mean nothing: it shows how the software works.**"
)
SPLITS = {"patient": "patient", "centre": "centre-out"}


def model_card(info: BundleInfo) -> str:
    """Markdown text for ``MODEL_CARD.md``.

    Parameters
    ----------
    info : BundleInfo
    """
    sections = [
        f"# {info.name} {info.version}",
        f"> {RESEARCH_USE}",
        *([f"> {PHANTOM_WARNING}"] if info.phantom else []),
        info.description,
        f"## Intended use\n\n{info.intended_use}",
        f"## Training data\n\n{info.training_data}",
        f"## How it was trained\n\n{_training(info)}",
        f"## Held-out scores\n\n{_scores(info.scores)}",
        f"## Limitations\n\n{_limitations(info)}",
        f"## Licence\n\n{info.licence}",
    ]
    return "\n\n".join(sections) + "\n"


def _training(info: BundleInfo) -> str:
    t = info.thresholds
    low, high = info.risk_tertiles
    lines = [
        f"Created {info.created}; {_folds(info)} ({', '.join(member.name for member in info.members)}).",
        "A fold's networks never saw that fold's validation patients. Inputs of the HPV and RFS models on a "
        "fold's training rows are out-of-fold values that come from sibling folds.",
        f"Thresholds: GTVp {t.GTVp:g}, GTVn {t.GTVn:g}, HPV {t.hpv:g}.",
        f"Risk groups: low up to {low:g}, high above {high:g} (tertiles of pooled out-of-fold risk).",
        f"RFS days count from: {info.time_zero}. The curve ends at day {info.rfs_last_day:g}, the last training event.",
        *_cohort(info),
        f"Clinical fields: {', '.join(info.clinical) if info.clinical else 'none'}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _folds(info: BundleInfo) -> str:
    """A member is a fold of a split; splits of several sizes are in what is said of the training data."""
    members, splits = len(info.members), len(info.members) // info.folds
    if splits and members % info.folds:
        return f"{members} members"
    kinds = _kinds_of_split(info.scores)
    if kinds and len(kinds) == splits:
        return f"{members} members over {' and '.join(f'{info.folds} {kind} folds' for kind in kinds)}"
    if splits > 1:
        return f"{members} members, {info.folds} folds of each of {splits} splits of the patients"
    return f"{members} members over {info.folds} folds of the patients"


def _kinds_of_split(scores: Mapping[str, object]) -> list[str]:
    """In words, of the splits whose out-of-fold figures a bundle has; none where it does not name them."""
    out_of_fold = scores.get("out_of_fold")
    return [kind for name, kind in SPLITS.items() if isinstance(out_of_fold, Mapping) and name in out_of_fold]


def _cohort(info: BundleInfo) -> list[str]:
    curve = info.cohort_survival
    if curve is None:
        return []
    return [
        f"Patients with follow-up: {curve.patients}, of whom {curve.events} relapsed; the last was followed for "
        f"{curve.days[-1]:g} days. Their Kaplan-Meier curve is in bundle.json."
    ]


def _scores(scores: Mapping[str, object]) -> str:
    if not scores:
        return "None were recorded."
    rows = [f"| {name} | {_shown(value)} |" for name, value in sorted(_flat(scores).items())]
    return "\n".join(["| figure | value |", "|---|---|", *rows])


def _flat(scores: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in scores.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def _limitations(info: BundleInfo) -> str:
    hpv = f"HPV probability, of forests trained on classes made equal: {HPV_SCALE[0].lower()}{HPV_SCALE[1:]}"
    items = ["Research use only; not validated for clinical decisions.", hpv, *info.limitations]
    if info.phantom:
        items.insert(0, "Synthetic training data: no figure of this card says anything about patients.")
    return "\n".join(f"- {item}" for item in items)
