"""One training loop for all three stages; resumable by epoch."""

from __future__ import annotations

import logging
import math
import os
import pickle
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmpl.errors import OutputError
from mmpl.io.output import make_folder, to_disk
from mmpl.lengths import MULTIPLE
from mmpl.progress import Progress, silent
from mmpl.training.config import StageConfig
from mmpl.training.curves import LearningCurve
from mmpl.training.errors import require
from mmpl.training.ranks import current

log = logging.getLogger(__name__)

MOST_SKIPPED = 0.05  # of an epoch's steps; one in any case
FULL_BYTES = 1 << 20  # a disk with less left is full
WRITERS_WORDS = ("unexpected pos", "iostream error")  # of PyTorch's, where a quota leaves no more room

LossFunction = Callable[[Tensor, Tensor], Tensor]


def fit(
    net: nn.Module,
    batches: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
    loss_function: LossFunction,
    config: StageConfig,
    folder: Path,
    *,
    seed: int = 0,
    autocast: bool = True,
    ema_decay: float = 0.0,
    tensorboard: bool = False,
    progress: Progress = silent,
    step: str = "training",
) -> nn.Module:
    """Train with Adam and a stepped learning rate; a checkpoint after every epoch.

    Parameters
    ----------
    net : network with its starting weights
    batches : epoch -> iterable of (image, target), this process's share of each batch; must depend on the epoch alone,
        so that a resumed run goes on as an uninterrupted one would
    loss_function : (output, target) -> scalar
    seed : of what an epoch drops out, with the epoch's number
    autocast : run the passes in bfloat16 where the device computes in it, see :func:`mixed_precision`
    ema_decay : the network ends with an exponential moving average of its weights; 0: with the last ones
    tensorboard : write the learning curve for TensorBoard, too
    folder : holds ``checkpoint.pt`` while training runs, and ``log.jsonl``

    Returns
    -------
    The network in evaluation mode.
    """
    make_folder(folder)
    device = next(net.parameters()).device
    net.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(net.parameters())
    checkpoint = folder / "checkpoint.pt"
    average, ranks = Average(net, ema_decay), current()
    first = _resume(checkpoint, net, optimizer, average)
    curve = LearningCurve(folder, first, tensorboard=tensorboard) if ranks.is_first else None
    trainer = Trainer(net, ranks.parallel(net), optimizer, average, loss_function, autocast)
    started = time.monotonic()
    for epoch in range(first, config.epochs):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate(epoch)
        torch.manual_seed(_epoch_seed(seed, epoch, ranks.rank))  # dropout
        loss, skipped = trainer.epoch(batches(epoch), f"{step}, epoch {epoch}")
        record = {
            "epoch": epoch,
            "learning_rate": config.learning_rate(epoch),
            "loss": ranks.mean(loss, device),
            "skipped": skipped,
            "seconds": round(time.monotonic() - started, 1),
        }
        if curve is not None:
            curve.add(record)
            _save(checkpoint, net, optimizer, average, epoch + 1)
        progress(step, (epoch + 1) / config.epochs)
    average.take_over(net)
    settle_batch_norm(net, batches(config.epochs))
    return net.eval()


@dataclass(frozen=True)
class Trainer:
    """One step after the other.

    Attributes
    ----------
    net : the network
    parallel : the same, its gradients averaged over the processes of the run
    """

    net: nn.Module
    parallel: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    loss_function: LossFunction
    autocast: bool

    def epoch(self, batches: Iterable[tuple[Tensor, Tensor]], step: str) -> tuple[float, int]:
        """Mean loss, and how many steps were left out for want of a finite gradient."""
        self.parallel.train()
        losses, skipped, rounded = [], 0, False
        for image, target in prefetched(batches):
            loss, stepped = self.step(image, target)
            rounded = rounded or self.rounds(image)
            require(math.isfinite(loss), f"{step}: the loss became {loss}; {_remedy(rounded)}")
            losses.append(loss)
            skipped += not stepped
        require(
            skipped <= max(1, MOST_SKIPPED * len(losses)),
            f"{step}: {skipped} of {len(losses)} steps had no finite gradient; {_remedy(rounded)}",
        )
        return sum(losses) / max(len(losses), 1), skipped

    def rounds(self, image: Tensor) -> bool:
        """Whether passes over such images run in bfloat16."""
        return self.autocast and mixed_precision(next(self.net.parameters()).device, image.shape[2:])

    def step(self, image: Tensor, target: Tensor) -> tuple[float, bool]:
        """The loss, and whether the gradient was finite, as it is not once in a while in reduced precision."""
        device = next(self.net.parameters()).device
        image = image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.rounds(image)):
            output = self.parallel(image)
        loss = self.loss_function(output.float(), target.to(device, non_blocking=True))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not math.isfinite(float(nn.utils.clip_grad_norm_(self.net.parameters(), max_norm=10.0))):
            return float(loss.detach()), False
        self.optimizer.step()
        self.average.update(self.net)
        return float(loss.detach()), True


def _remedy(rounded: bool) -> str:
    """What helps where numbers are no longer finite; the same steps again would end alike."""
    lower = "lower the learning rates in another run folder"
    return f"set 'autocast: false' and go on in this run folder, or {lower}" if rounded else lower


def mixed_precision(device: torch.device, size: Sequence[int]) -> bool:
    """Whether passes over volumes of ``size`` (z, y, x) voxels train in bfloat16 on a device.

    On a CPU only where it computes in bfloat16, and where the coarsest level keeps three voxels a side: PyTorch 2.13's
    bfloat16 weight gradients of convolutions over 2 x 2 x 2 voxels are now and then NaN there.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    return min(size) // MULTIPLE >= 3 and torch.cpu._is_avx512_bf16_supported()


class Average:
    """Exponential moving average of a network's trainable weights; off with a decay of 0.

    The decay grows from 0.1 over the first steps, so that the starting weights are soon forgotten.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.weights = [p.detach().clone() for p in net.parameters()] if decay else []

    def update(self, net: nn.Module) -> None:
        """Take in the weights of one more step."""
        if not self.weights:
            return
        self.steps += 1
        decay = min(self.decay, self.steps / (9 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.weights, [p.detach() for p in net.parameters()], 1 - decay)

    def take_over(self, net: nn.Module) -> None:
        """Give the network the average."""
        with torch.no_grad():
            for own, mean in zip(net.parameters(), self.weights, strict=False):
                own.copy_(mean)

    def state(self) -> dict:
        return {"steps": self.steps, "weights": self.weights}

    def restore(self, state: dict) -> None:
        self.steps = state["steps"]
        for mine, stored in zip(self.weights, state["weights"], strict=True):
            mine.copy_(stored)


def settle_batch_norm(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Replace BatchNorm's running statistics by plain averages over these batches; weights stay as they are.

    With two patches a batch the running averages hang on the last few batches.
    """
    layers = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
    net.train()
    device = next(net.parameters()).device
    with torch.no_grad():
        for image, _ in prefetched(batches):
            net(image.to(device).contiguous(memory_format=torch.channels_last_3d))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def prefetched(batches: Iterable, ahead: int = 2) -> Iterator:
    """The same batches in the same order, made in a thread while the last ones are used.

    What goes wrong in making one is raised here: an epoch never ends early in silence.
    """
    source, end = iter(batches), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, source, end) for _ in range(ahead))
        while (batch := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, source, end))
            yield batch


def _epoch_seed(*of: int) -> int:
    return int(np.random.SeedSequence(of).generate_state(1, np.uint64)[0])


def _save(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, average: Average, epoch: int) -> None:
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state(), "epoch": epoch}
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
        to_disk(partial)  # a power cut after the renaming must not leave an empty file
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: how PyTorch's writer reports a full disk
        reason = _reason(error, partial)
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: the checkpoint of epoch {epoch} cannot be written ({reason}); make room, and the same "
            "command goes on from the one before"
        ) from error


def _reason(error: Exception, partial: Path) -> str:
    """In words: PyTorch's writer says of a full disk only that its stream has failed, or how far it has come."""
    if isinstance(error, RuntimeError) and shutil.disk_usage(partial.parent).free < FULL_BYTES:
        return "the disk is full"
    said = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return "the disk is full or a quota is reached" if any(word in said for word in WRITERS_WORDS) else said


def _resume(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, average: Average) -> int:
    stored = _read_checkpoint(path)
    if stored is None:
        return 0
    net.load_state_dict(stored["net"])
    optimizer.load_state_dict(stored["optimizer"])
    average.restore(stored["average"])
    return stored["epoch"]


def _read_checkpoint(path: Path) -> dict | None:
    """On the CPU: each part moves itself to where it belongs, and Adam's counters belong on the CPU.

    None where there is none, or none that can be read: the stage begins anew.
    """
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, weights_only=True, map_location="cpu")
    except (EOFError, OSError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError) as error:
        stored = None
        log.info("%s: %s", path, error)
    if not isinstance(stored, dict) or not {"net", "optimizer", "average", "epoch"} <= set(stored):
        log.warning("%s is damaged and left out: this stage is trained from its beginning", path)
        return None
    return stored
