"""A run's folder: what the run began with, what must not change under it, and one command at a time."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mmpl.bundle.reader import BUNDLE_JSON, canonical_json, open_bundle
from mmpl.errors import TrainingError
from mmpl.io.folder_lock import held
from mmpl.io.output import make_folder, write_json_atomic
from mmpl.training.cache_entry import arrays_sha256
from mmpl.training.config import TrainingConfig, config_to_dict
from mmpl.training.errors import require
from mmpl.training.finished import read_finished
from mmpl.training.folds import Split
from mmpl.training.layout import CohortCase
from mmpl.training.ranks import ALONE, Ranks

LOCK = "run.lock"
CONFIG, OUTCOMES, IMAGES = "config.json", "outcomes.json", "images.json"
BEGUN = "begun"  # in config.json: ISO date
FOLDS, FOLDS_SHA256 = "folds.csv", "folds_sha256"  # a table; in config.json: of what it says, not of its bytes
BUNDLE = "bundle"
ROUNDING = ("autocast",)  # may change in a run that goes on: where it does harm, there is no other way out
START = "start"  # in config.json: sha256 of the bundle that stage 1 starts from, or null; a folder with its weights


@contextmanager
def only_command(out: Path, ranks: Ranks = ALONE) -> Iterator[None]:
    """Keep other commands out of a run's folder while the block lasts; of several processes the first one does.

    Raises
    ------
    TrainingError
        If another command works in the folder.
    """
    refusal = TrainingError(
        f"{out}: another command is at work in this folder; wait for it, or choose another folder (where none is, "
        f"remove {LOCK} there)"
    )
    with held_by_first(out / LOCK, refusal, ranks):
        yield


@contextmanager
def held_by_first(lock_file: Path, refusal: TrainingError, ranks: Ranks) -> Iterator[None]:
    """Hold a lock in a folder, which is made, while the block lasts; of several processes the first one does.

    Parameters
    ----------
    refusal : raised where another command holds the lock
    """
    make_folder(lock_file.parent)
    if not ranks.is_first:
        yield
        return
    with held(lock_file, refusal):
        yield


def claim(out: Path, config: TrainingConfig, cases: Sequence[CohortCase], start: str | None = None) -> None:
    """Write the settings, or check that an earlier run had the same ones.

    Parameters
    ----------
    start : sha256 of the bundle that stage 1 starts from
    """
    make_folder(out)
    settings = {**settings_of(config, cases), START: start}
    refuse_changes(out, settings)
    if not (out / CONFIG).is_file():
        write_json_atomic(out / CONFIG, {**settings, BEGUN: _today()})


def settings_of(config: TrainingConfig, cases: Sequence[CohortCase]) -> dict:
    """As JSON gives them back. How many processes share the work, and where, changes nothing but rounding; these are
    left at what they are by default. How many threads make patches changes nothing at all, and is left out.
    """
    settings = {
        **config_to_dict(replace(config, workers=1, device="auto", tensorboard=False)),
        "patients": [c.patient_id for c in cases],
    }
    del settings["patch_threads"]
    return json.loads(json.dumps(settings))


def refuse_changes(out: Path, settings: Mapping[str, object]) -> None:
    """Refuse a folder whose run began with other settings."""
    earlier = begun_with(out)
    if earlier is None:
        return
    changed = sorted(k for k in settings if k not in ROUNDING and earlier.get(k) != settings[k])
    require(
        not changed,
        f"{out}: holds a run with another '{changed[0] if changed else ''}'; choose another folder",
    )


def begun_with(out: Path) -> dict | None:
    """The settings of the run in a folder, None where none has begun."""
    return read_record(out / CONFIG) if (out / CONFIG).is_file() else None


def begun_on(out: Path) -> str:
    """ISO date of the day on which a run began: its bundle's, on whatever day that is written again.

    A run that does not know it has that of the bundle it has written, else it is today.
    """
    known = (begun_with(out) or {}).get(BEGUN)
    if known is None and (out / BUNDLE / BUNDLE_JSON).is_file():
        known = open_bundle(out / BUNDLE).info.created
    return known or _today()


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def check_folds(out: Path, splits: Sequence[Split]) -> None:
    """Keep the checksum of a claimed folder's folds, or check that they are those that its networks were trained by.

    A run that has kept none, by an older version, takes those of today.
    """
    begun = read_record(out / CONFIG)
    now = hashlib.sha256(canonical_json({split.name: dict(split.fold_of) for split in splits})).hexdigest()
    if FOLDS_SHA256 not in begun:
        write_json_atomic(out / CONFIG, {**begun, FOLDS_SHA256: now})
        return
    require(
        begun[FOLDS_SHA256] == now,
        f"{out / FOLDS}: the folds are not those that the run began with; put it back, or choose another folder",
    )


def check_outcomes(out: Path, cases: Sequence[CohortCase]) -> None:
    """Keep the outcomes that the networks learn from, or check that they are still the same."""
    now = {c.patient_id: [c.relapse, c.rfs_days, c.hpv] for c in cases}
    _check_unchanged(out / OUTCOMES, now, "outcomes")


def check_images(out: Path, cases: Sequence[CohortCase]) -> None:
    """Keep the checksums of what the networks see, or check that they still see the same."""
    now = {c.patient_id: arrays_sha256(out / "cache" / c.patient_id) for c in cases}
    _check_unchanged(out / IMAGES, now, "images or contours")


def _check_unchanged(path: Path, now: Mapping[str, object], what: str) -> None:
    """Write by patient what a run depends on, or refuse what has changed since it began."""
    if not path.is_file():
        write_json_atomic(path, now)
        return
    earlier = read_record(path)
    changed = sorted(patient for patient in now if earlier.get(patient) != now[patient])
    require(
        not changed,
        f"{path.parent}: {what} of {len(changed)} patients ({', '.join(changed[:3])}) have changed since the run "
        "began; put them back, or choose another folder",
    )


def read_record(path: Path) -> dict:
    """What a run has written of itself.

    Raises
    ------
    TrainingError
        If the file is damaged.
    """
    return read_finished(path, "nobody knows what the run began with: restore it from a copy, or choose another folder")
