"""Starting weights for stage 1 from another bundle: of a coarser grid, or of another hospital's cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import save

from mmpl.bundle.reader import Bundle, open_bundle
from mmpl.ensemble import SEGMENTATION
from mmpl.io.output import make_folder, write_bytes_atomic, write_json_atomic
from mmpl.network.config import NetworkConfig
from mmpl.network.run import check_weights
from mmpl.training.errors import require
from mmpl.training.finished import record_or_none

KEPT = "start.json"


@dataclass(frozen=True)
class Start:
    """A bundle whose segmentation networks others start from.

    Attributes
    ----------
    name, sha256 : of the bundle
    weights : one file a member
    """

    name: str
    sha256: str
    weights: tuple[Path, ...]

    def of(self, number: int) -> Path:
        """The weights that network ``number`` of the run starts from; members are dealt out in turn."""
        return self.weights[number % len(self.weights)]


def open_start(path: Path, network: NetworkConfig) -> Bundle:
    """A bundle to start from, checked.

    Parameters
    ----------
    path : bundle
    network : that is to be trained: of the same widths, at any spacing

    Raises
    ------
    BundleError
        If the bundle cannot be used, or its weights do not fit.
    TrainingError
        If its networks have other widths.
    """
    bundle = open_bundle(path)
    theirs = NetworkConfig.from_dict(dict(bundle.info.network))
    mine = replace(network, spacing_mm=theirs.spacing_mm, dropout=theirs.dropout)
    changed = [name for name, value in theirs.to_dict().items() if mine.to_dict()[name] != value]
    require(
        not changed,
        f"{path}: its networks have another '{', '.join(changed)}' than the settings: start from a bundle of the same "
        "widths, or set 'network' as it has it",
    )
    for rel in _files(bundle):
        check_weights(network, None, bundle.tensors(rel), f"bundle {path}: {rel}")
    return bundle


def keep_start(bundle: Bundle, folder: Path) -> Start:
    """Copy a bundle's segmentation weights into a run, so that it can be resumed without the bundle."""
    make_folder(folder)
    kept = []
    for n, rel in enumerate(_files(bundle)):
        path = folder / f"{n}.safetensors"
        if not path.is_file():
            write_bytes_atomic(path, save(dict(bundle.tensors(rel))))
        kept.append(path)
    record = {"name": bundle.info.name, "sha256": bundle.sha256, "weights": [path.name for path in kept]}
    write_json_atomic(folder / KEPT, record)  # last: it says that all weights are there
    return Start(bundle.info.name, bundle.sha256, tuple(kept))


def kept_start(folder: Path, sha256: str) -> Start:
    """What :func:`keep_start` has copied of the bundle with that checksum.

    Raises
    ------
    TrainingError
        If it is not there as a whole, as in a run that was stopped while it was copied.
    """
    record = record_or_none(folder / KEPT) or {}
    weights = tuple(folder / name for name in record.get("weights", ()))
    require(
        record.get("sha256") == sha256 and len(weights) > 0 and all(path.is_file() for path in weights),
        f"{folder}: the weights that stage 1 starts from are not all there; give their bundle (sha256 {sha256[:12]}) "
        "once more with --start",
    )
    return Start(record["name"], sha256, weights)


def _files(bundle: Bundle) -> Sequence[str]:
    return [member.files[SEGMENTATION] for member in bundle.info.members]
