"""Settings of a training run: frozen, validated once, written beside the run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

from mmpl.bundle.info import fits_schema
from mmpl.errors import InputError, MMPLError, TrainingError
from mmpl.network.config import NetworkConfig
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.survival.discrete import BREAKS_DAYS, check_breaks
from mmpl.training.folds import FOLDS, PATIENT, SPLITS

LOSSES = ("oda", "dice")
LARGEST_SEED = 4_000_000_000  # scikit-learn's are below 2**32, and folds and stages count up from this one
BELOW = {"scale": 1.0, "intensity_scale": 1.0, "shear": 0.5}  # from there on a draw can flatten a patch, or invert it
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
OF_THE_BUNDLE = {
    "name": "letters, digits and . _ - only",
    "version": "two or three numbers in quotes ('1.0')",
    "time_zero": "what RFS days count from",
}


@dataclass(frozen=True)
class StageConfig:
    """One network stage.

    Attributes
    ----------
    epochs : passes over the training patients, one patch a patient
    batch_size : patches
    learning_rates : Adam's, stepped down after 40 % and 80 % of the epochs
    """

    epochs: int
    batch_size: int
    learning_rates: tuple[float, float, float]

    def __post_init__(self):
        object.__setattr__(self, "learning_rates", tuple(float(r) for r in self.learning_rates))
        if self.epochs < 1 or self.batch_size < 1:
            raise TrainingError(f"epochs = {self.epochs}, batch_size = {self.batch_size}, expected 1 or more")
        if len(self.learning_rates) != 3 or not all(0 < rate < math.inf for rate in self.learning_rates):
            raise TrainingError(f"learning_rates = {self.learning_rates}, expected three positive numbers")

    def learning_rate(self, epoch: int) -> float:
        done = epoch / self.epochs
        return self.learning_rates[0 if done < 0.4 else 1 if done < 0.8 else 2]


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of a training patch; lengths in mm, angles in degrees.

    ``probability`` is that of each change but the mirror's; ``mirror`` is that of swapping left and right.
    """

    probability: float = 0.7
    shift_mm: float = 8.0
    rotation_deg: float = 10.0
    scale: float = 0.1
    shear: float = 0.05
    intensity_scale: float = 0.1
    intensity_shift: float = 0.1
    noise_std: float = 0.05
    mirror: float = 0.0

    def __post_init__(self):
        for name in ("probability", "mirror"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise TrainingError(f"{name} = {value}, expected a probability from 0 to 1")
        for name in (f.name for f in fields(self)):
            value, limit = getattr(self, name), BELOW.get(name, math.inf)
            if not 0 <= value < limit:
                expected = f"0 to below {limit:g}" if name in BELOW else "0 or more"
                raise TrainingError(f"{name} = {value}, expected {expected}")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training run besides the data.

    Attributes
    ----------
    name, version : of the bundle
    seed : of folds, initial weights, sampling and augmentation
    folds : of each split: so many networks, and members of the ensemble
    splits : "patient": patients dealt out evenly; "centre": whole centres left out
    ema_decay : of the exponential moving average of the weights that a stage ends with, per step; 0 = the last weights
    segmentation_loss : "oda": the method's; "dice": Dice alone, for comparison
    wide_share : share of the segmentation network's steps that see the wide field in place of a 128 mm window: what a
        whole-ROI pass will show it
    wide_mm : (z, y, x) lengths of the wide field
    overlap : of the paper plan's windows
    breaks_days : ends of the discrete-time intervals, first 0
    time_zero : what the cohort's RFS days count from; printed on every time axis
    workers : processes that share folds and cases, one thread each; with one, all threads of this process. Sums in
        another order round otherwise: the same up to that
    patch_threads : threads that make patches for each network; 0: as many as the device can use
        (:func:`mmpl.training.prefetch.patch_threads`). Patches are the same whoever makes them
    autocast : run training convolutions in bfloat16 where the device has it
    device : where networks train: "cpu", "cuda", "cuda:N", or "auto": a graphics card where there is one. No setting of
        the result, up to rounding
    deterministic : the same run gives the same weights on a graphics card too, where PyTorch can; slower there
    tensorboard : write each stage's loss for TensorBoard as well, beside ``log.jsonl``
    """

    name: str = "mmpl"
    version: str = "0.1.0"
    seed: int = 20250
    folds: int = FOLDS
    splits: tuple[str, ...] = SPLITS
    ema_decay: float = 0.0
    segmentation_loss: str = "oda"
    network: NetworkConfig = field(default_factory=NetworkConfig.full)
    segmentation: StageConfig = StageConfig(200, 2, (1e-4, 5e-5, 1e-5))
    hpv: StageConfig = StageConfig(60, 8, (5e-5, 1e-5, 1e-6))
    rfs: StageConfig = StageConfig(60, 8, (5e-5, 1e-5, 1e-6))
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    feature_set: FeatureSet = field(default_factory=FeatureSet.full)
    wide_share: float = 0.25
    wide_mm: tuple[float, float, float] = (256.0, 192.0, 192.0)
    overlap: float = 0.5
    breaks_days: tuple[float, ...] = BREAKS_DAYS
    time_zero: str = "end of radiotherapy"
    workers: int = 1
    patch_threads: int = 0
    autocast: bool = True
    device: str = "auto"
    deterministic: bool = False
    tensorboard: bool = False

    def __post_init__(self):
        object.__setattr__(self, "breaks_days", tuple(float(b) for b in self.breaks_days))
        for name, expected in OF_THE_BUNDLE.items():
            value = getattr(self, name)
            if not fits_schema(name, value):
                raise TrainingError(f"{name} is {value!r}, expected {expected}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise TrainingError(f"seed = {self.seed}, expected 0 to {LARGEST_SEED}")
        if self.folds < 2:
            raise TrainingError(f"folds = {self.folds}, at least 2 are needed")
        if not self.splits or len(set(self.splits)) < len(self.splits) or not set(self.splits) <= set(SPLITS):
            known = " or ".join(SPLITS)
            raise TrainingError(f"splits = {list(self.splits)}, expected {known}, or both")
        if not 0 <= self.ema_decay < 1:
            raise TrainingError(f"ema_decay = {self.ema_decay}, expected 0 to below 1")
        if self.segmentation_loss not in LOSSES:
            known = " or ".join(LOSSES)
            raise TrainingError(f"segmentation_loss = '{self.segmentation_loss}', expected {known}")
        if not 0 <= self.overlap < 1:
            raise TrainingError(f"overlap = {self.overlap}, expected 0 <= overlap < 1")
        object.__setattr__(self, "wide_mm", tuple(float(length) for length in self.wide_mm))
        if not 0 <= self.wide_share <= 1:
            raise TrainingError(f"wide_share = {self.wide_share}, expected a share from 0 to 1")
        if len(self.wide_mm) != 3 or not all(0 < length < math.inf for length in self.wide_mm):
            raise TrainingError(f"wide_mm = {self.wide_mm}, expected three lengths in mm (z, y, x)")
        if self.workers < 1:
            raise TrainingError(f"workers = {self.workers}, expected 1 or more")
        if not DEVICE.fullmatch(self.device):
            raise TrainingError(f"device = '{self.device}', expected auto, cpu, cuda or cuda:N")
        if self.patch_threads < 0:
            raise TrainingError(f"patch_threads = {self.patch_threads}, expected 0 (auto) or more")
        try:
            check_breaks(self.breaks_days)
        except InputError as error:
            raise TrainingError(f"breaks_days must rise from 0: {error}") from error

    @property
    def intervals(self) -> int:
        return len(self.breaks_days) - 1

    @classmethod
    def demo(cls) -> TrainingConfig:
        """Three narrow members at 4 mm: what the bundled demo model is trained with."""
        return cls(
            name="mmpl-demo",
            folds=3,
            splits=(PATIENT,),
            network=NetworkConfig.demo(),
            segmentation=StageConfig(80, 2, (2e-3, 1e-3, 3e-4)),
            hpv=StageConfig(12, 8, (1e-3, 5e-4, 1e-4)),
            rfs=StageConfig(12, 8, (1e-3, 5e-4, 1e-4)),
            augmentation=AugmentationConfig(mirror=0.5),
            feature_set=FeatureSet.demo(),
            overlap=0.5,
            time_zero="synthetic time zero",
            workers=3,
        )


def config_to_dict(config) -> dict:
    """Nested plain dictionary of a config dataclass."""
    if hasattr(config, "to_dict"):
        return config.to_dict()
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}


def _plain(value):
    if is_dataclass(value):
        return config_to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def load_config(path: Path | None) -> TrainingConfig:
    """Read a YAML file over the defaults.

    Raises
    ------
    TrainingError
        If the file is not readable YAML, or holds a key that does not exist (the known ones are listed) or a value that
        cannot be.
    """
    if path is None:
        return TrainingConfig()
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path}: not a readable YAML file ({str(error).splitlines()[0]})") from error
    return config_from_dict(data, where=str(path))


def config_from_dict(data: dict, *, where: str = "training config") -> TrainingConfig:
    """Overlay a plain dictionary on :class:`TrainingConfig` (or, with ``base: demo``, on the demo's)."""
    if not isinstance(data, dict):
        raise TrainingError(f"{where}: expected settings by name ('seed: 7'), found {type(data).__name__}")
    data = dict(data)
    base = data.pop("base", "full")
    if base not in ("demo", "full"):
        raise TrainingError(f"{where}: base must be 'demo' or 'full'")
    return _overlay(TrainingConfig.demo() if base == "demo" else TrainingConfig(), data, where)


def _overlay(config, data: dict, where: str):
    known = {f.name for f in fields(config)}
    unknown = sorted(set(data) - known, key=str)
    if unknown:
        raise TrainingError(f"{where}: unknown key '{unknown[0]}'; known keys are {', '.join(sorted(known))}")
    values = {}
    for f in fields(config):
        current = getattr(config, f.name)
        if f.name not in data:
            values[f.name] = current
        elif is_dataclass(current):
            if not isinstance(data[f.name], dict):
                raise TrainingError(f"{where}: '{f.name}' must be a mapping")
            values[f.name] = _overlay(current, data[f.name], f"{where}: {f.name}")
        else:
            values[f.name] = _typed(data[f.name], current, f"{where}: {f.name}")
    try:
        return type(config)(**values)
    except MMPLError as error:
        raise TrainingError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{where}: a value has the wrong type ({error})") from error


def _typed(new, current, where: str):
    """A value as the type of the one it replaces; YAML reads 1e-4 as text and 3 as a whole number."""
    wanted = type(current)
    if wanted is tuple:
        if not isinstance(new, (list, tuple)):
            like = ", ".join(str(value) for value in current) or "1.0, 2.0"
            raise TrainingError(f"{where} is {new!r}, expected a list such as [{like}]")
        return tuple(_typed(v, current[0], f"{where}[{n}]") for n, v in enumerate(new)) if current else tuple(new)
    if wanted is float:
        try:
            if isinstance(new, bool):
                raise TypeError("true and false are no numbers")
            return float(new)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{where} is {new!r}, expected a number") from error
    if wanted in (bool, int, str) and type(new) is not wanted and not (wanted is str and new is None):
        names = {bool: "true or false", int: "a whole number", str: "text"}
        raise TrainingError(f"{where} is {new!r}, expected {names[wanted]}")
    return new
