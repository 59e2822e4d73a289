"""What the statistics chose for each member of an ensemble, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from mmpl.training.ensemble_statistics import EnsembleStatistics, MemberStatistics
from mmpl.training.folds import Split


def choices(statistics: EnsembleStatistics, splits: Sequence[Split]) -> dict:
    """As JSON, a member after the other; the schema is in ``docs/bundle.md``.

    Parameters
    ----------
    splits : whose folds the members are, in their order
    """
    homes = [(split.name, fold) for split in splits for fold in range(split.folds)]
    members = enumerate(zip(homes, statistics.members, strict=True))
    return {
        "members": [
            {"name": f"member_{n}", "split": split, "fold": fold, "hpv": _hpv(fitted), "rfs": _rfs(fitted)}
            for n, ((split, fold), fitted) in members
        ]
    }


def _hpv(fitted: MemberStatistics) -> dict:
    return {"forest": asdict(fitted.settings), "columns": list(fitted.hpv.columns)}


def _rfs(fitted: MemberStatistics) -> dict:
    return {
        "columns": list(fitted.rfs.columns),
        "ridge": fitted.rfs.ridge,
        "lasso": asdict(fitted.lasso),
        "clinical": {field: asdict(test) for field, test in fitted.tests.items()},
    }
