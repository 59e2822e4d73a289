"""The three network stages of one fold: segmentation, then HPV, then RFS, each from the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from mmpl.cluster import LOCAL_NUMBER
from mmpl.errors import TrainingError
from mmpl.io.output import write_bytes_atomic
from mmpl.network.backends.base import Tick, no_tick
from mmpl.network.backends.choose import cuda_precision
from mmpl.network.backends.pytorch import TorchRunner
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.network.run import HPV_OUTPUTS, outcome_net, segmentation_net, stored_weights
from mmpl.progress import Progress, silent
from mmpl.survival.discrete import interval_targets
from mmpl.training.batches import Batches, IsWide
from mmpl.training.config import StageConfig, TrainingConfig
from mmpl.training.curves import logged_epochs
from mmpl.training.errors import require
from mmpl.training.finished import read_stage_weights, read_weights
from mmpl.training.folds import PATIENT
from mmpl.training.loop import fit
from mmpl.training.losses import SEGMENTATION_LOSSES, balanced_bce_loss, discrete_time_nll
from mmpl.training.patches import OutcomePatches, SegmentationPatches, seed_everything
from mmpl.training.prefetch import patch_threads, usable_cores
from mmpl.training.ranks import Ranks, current
from mmpl.training.run_folder import held_by_first

SEGMENTATION, HPV, RFS = "segmentation", "hpv", "rfs"
STAGES = (SEGMENTATION, HPV, RFS)
KEPT_NETWORKS = 12  # of one stage's five folds, twice
LOCK = "stage.lock"


@dataclass(frozen=True)
class StageRun:
    """Where one stage of one fold lives and what seeds it.

    ``folder/weights.safetensors`` marks the stage as done; it is written last.
    """

    config: TrainingConfig
    folder: Path
    fold: int
    stage: str
    split: str = PATIENT
    split_number: int = 0

    @property
    def weights_path(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def seed(self) -> int:
        return self.config.seed + 100_000 * self.split_number + 1000 * self.fold + 100 * STAGES.index(self.stage)

    @property
    def label(self) -> str:
        return f"{self.split} fold {self.fold}: {self.stage}"

    def weights(self) -> dict[str, Tensor]:
        """The trained network's, as stored."""
        return read_stage_weights(self.weights_path)

    def load(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        weights = self.weights()
        what = str(self.weights_path)
        if self.stage == SEGMENTATION:
            return segmentation_net(self.config.network, weights, what)
        outputs = HPV_OUTPUTS if self.stage == HPV else self.config.intervals
        return outcome_net(self.config.network, outputs, weights, what)


def epochs_done(runs: Sequence[StageRun]) -> float:
    """The share of several stages' epochs that is behind them, as their logs tell."""
    done, planned = 0, 0
    for run in runs:
        epochs = getattr(run.config, run.stage).epochs
        done += epochs if run.weights_path.is_file() else min(logged_epochs(run.folder), epochs)
        planned += epochs
    return done / planned


def trained_network(run: StageRun) -> nn.Module:
    """A finished stage's network, where networks train; a process keeps the last ones.

    A cluster's worker outlives the run: what has been trained anew in the same folder is loaded anew.
    """
    file = run.weights_path.stat()
    return _loaded(run, file.st_mtime_ns, file.st_size)


@lru_cache(maxsize=KEPT_NETWORKS)
def _loaded(run: StageRun, changed_ns: int, size: int) -> nn.Module:
    return run.load().to(training_device(run.config.device))


def trained_runner(run: StageRun) -> Callable[[np.ndarray, Tick], np.ndarray]:
    """A finished stage's network on arrays: (n, 2, z, y, x) -> logits.

    In fp32 on the CPU. On a graphics card in the precision that inference would choose there, unless the settings
    forbid ``autocast``; in fp32 where that gives numbers that are not finite.
    """
    net = trained_network(run)
    exact = TorchRunner(net)
    if next(net.parameters()).device.type == "cpu" or not run.config.autocast:
        return exact
    reduced = TorchRunner(net, cuda_precision())

    def finite(batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray:
        logits = reduced(batch, tick)
        return logits if math.isfinite(logits.sum(dtype=np.float64)) else exact(batch, tick)

    return finite


def train_segmentation(
    run: StageRun, paths: Sequence[Path], start: Path | None = None, *, progress: Progress = silent
) -> None:
    """Stage 1 on the labelled training cases' cached arrays, from weights of another bundle where there are any."""
    if run.weights_path.is_file():
        return
    require(len(paths) > 0, f"{run.label}: no labelled training case")
    seed_everything(run.seed, deterministic=run.config.deterministic)
    config = run.config
    data = SegmentationPatches(paths, config.network.spacing_mm, config.augmentation, run.seed, config.wide_mm)
    net = SegmentationNet(config.network)
    if start is not None:
        weights = read_weights(start, "remove it and give the bundle that it is from once more (--start)")
        net.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)

    def is_wide(draw: np.random.Generator, settling: bool) -> bool:
        # BatchNorm's averages are those of what a whole-ROI pass shows, not of windows around lesions
        share = float(config.wide_share > 0) if settling else config.wide_share
        return bool(draw.random() < share)

    loss = SEGMENTATION_LOSSES[config.segmentation_loss]
    _train(run, config.segmentation, net, data, _shuffled(len(data)), loss, progress, is_wide)


def train_hpv(
    run: StageRun,
    start: Path,
    paths: Sequence[Path],
    centres_zyx_1mm: Sequence[np.ndarray],
    labels: Sequence[int],
    *,
    progress: Progress = silent,
) -> None:
    """Stage 2 from stage 1's backbone.

    Parameters
    ----------
    start : stage 1's weights
    paths, centres_zyx_1mm, labels : cached arrays, patch centres and HPV status (0, 1) of the training patients
    """
    if run.weights_path.is_file():
        return
    positive = int(sum(labels))
    require(0 < positive < len(labels), f"{run.label}: the training patients hold only one HPV class")
    seed_everything(run.seed, deterministic=run.config.deterministic)
    targets = [np.array([label]) for label in labels]
    data = _outcome_data(run, paths, centres_zyx_1mm, targets)
    net = _with_backbone(OutcomeNet(run.config.network, HPV_OUTPUTS), read_stage_weights(start))
    pos_weight = (len(labels) - positive) / positive

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return balanced_bce_loss(output[:, 0], target[:, 0], pos_weight)

    _train(run, run.config.hpv, net, data, _shuffled(len(data)), loss, progress)


def train_rfs(
    run: StageRun,
    start: Path,
    paths: Sequence[Path],
    centres_zyx_1mm: Sequence[np.ndarray],
    time_days: Sequence[float],
    events: Sequence[int],
    *,
    progress: Progress = silent,
) -> None:
    """Stage 3 from stage 2's backbone; batches hold events and censored patients in equal parts.

    Parameters
    ----------
    start : stage 2's weights
    time_days, events : of the training patients; event 1 = relapse
    """
    if run.weights_path.is_file():
        return
    events = np.asarray(events, dtype=int)
    require(0 < events.sum() < len(events), f"{run.label}: needs both relapsed and censored training patients")
    seed_everything(run.seed, deterministic=run.config.deterministic)
    survived, failed = interval_targets(np.asarray(time_days), events, run.config.breaks_days)
    data = _outcome_data(run, paths, centres_zyx_1mm, list(np.stack([survived, failed], axis=1)))
    net = _with_backbone(OutcomeNet(run.config.network, run.config.intervals), read_stage_weights(start))

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return discrete_time_nll(output, target[:, 0], target[:, 1])

    _train(run, run.config.rfs, net, data, _balanced(events), loss, progress)


def _outcome_data(run: StageRun, paths, centres, targets) -> OutcomePatches:
    return OutcomePatches(paths, centres, targets, run.config.network.spacing_mm, run.config.augmentation)


def _with_backbone(net: OutcomeNet, weights: Mapping[str, Tensor]) -> OutcomeNet:
    """Carry over the backbone of an earlier stage; the head starts fresh."""
    own = {n for n in net.state_dict() if n.startswith("backbone.") and not n.endswith("num_batches_tracked")}
    backbone = {name: value.float() for name, value in weights.items() if name in own}
    require(set(backbone) == own, "the earlier stage's weights do not fit this network's backbone")
    net.load_state_dict(backbone, strict=False)
    return net


def _train(
    run: StageRun,
    stage: StageConfig,
    net,
    data,
    order,
    loss,
    progress: Progress,
    is_wide: IsWide = lambda draw, settling: False,
) -> None:
    """Train a stage and keep its weights.

    Raises
    ------
    TrainingError
        If another process trains it: a cluster's worker may still be at it that its run has lost.
    """
    ranks = current()
    refusal = TrainingError(
        f"{run.folder}: another process still trains this network, as a worker that has lost its run may; wait until "
        "it has ended, then give the same command again"
    )
    with held_by_first(run.folder / LOCK, refusal, ranks):
        net = net.to(training_device(run.config.device))
        device = next(net.parameters()).device
        threads = patch_threads(run.config, device, usable_cores())
        batches = Batches(data, order, stage, run.seed, ranks, device, threads, is_wide)
        net = fit(
            net,
            batches,
            loss,
            stage,
            run.folder,
            autocast=run.config.autocast,
            seed=run.seed,
            ema_decay=run.config.ema_decay,
            tensorboard=run.config.tensorboard,
            progress=progress,
            step=run.label,
        )
        if ranks.is_first:
            write_bytes_atomic(run.weights_path, save(stored_weights(net)))
            (run.folder / "checkpoint.pt").unlink(missing_ok=True)
    ranks.wait()


def check_batch_sizes(config: TrainingConfig, ranks: Ranks) -> None:
    """Find out before anything starts whether the processes of a run can share every stage's batches.

    Raises
    ------
    TrainingError
        If one's parts would not be of one length, or, where each process has its own BatchNorm, would hold one patient
        of stage 2 or 3 each: normalised alone, a patient loses what tells the classes apart.
    """
    if ranks.size == 1:
        return
    device = training_device(config.device)
    for stage in STAGES:
        size = getattr(config, stage).batch_size
        fewest = ranks.size if stage == SEGMENTATION or device.type == "cuda" else 2 * ranks.size
        fitting = max(fewest, -(-size // ranks.size) * ranks.size)
        require(
            size == fitting,
            f"training config: {stage}.batch_size = {size} cannot be shared by {ranks.size} processes; set "
            f"'{stage}: {{batch_size: {fitting}}}', or start fewer processes",
        )


def training_device(name: str) -> torch.device:
    """The device of that name; for "auto" a graphics card where there is one: this machine's workers take turns.

    Raises
    ------
    TrainingError
        If there is no such device.
    """
    if name == "auto":
        name = _own_card(LOCAL_NUMBER.get()) if torch.cuda.is_available() else "cpu"
    known = ["cpu"]
    if torch.cuda.is_available():
        known += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    require(name in known, f"training config: device = '{name}', this machine has {', '.join(known)}")
    return torch.device(name)


def _own_card(worker: int | None) -> str:
    """The next card for each next worker; that which torchrun, or the system, has given a process that is none."""
    return "cuda" if worker is None else f"cuda:{worker % torch.cuda.device_count()}"


def _shuffled(n: int):
    return lambda draw: draw.permutation(n)


def _balanced(events: np.ndarray):
    """As many draws as patients, alternating relapsed and censored; the smaller group is drawn more than once."""
    groups = [np.flatnonzero(events == value) for value in (1, 0)]

    def order(draw: np.random.Generator) -> np.ndarray:
        half = -(-len(events) // 2)
        columns = []
        for group in groups:
            rounds = [draw.permutation(group) for _ in range(-(-half // len(group)))]
            columns.append(np.concatenate(rounds)[:half])
        return np.stack(columns, axis=1).ravel()[: len(events)]

    return order
