"""All ablations of one run, as one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mmpl.cluster import open_pool
from mmpl.io.output import write_json_atomic
from mmpl.phantom.cohort import MANIFEST
from mmpl.progress import Progress, silent
from mmpl.training.ablation.comparison import Comparison, Figure
from mmpl.training.ablation.outcomes import hpv_comparisons, rfs_comparisons, split_comparisons
from mmpl.training.ablation.segmentation import segmentation_comparisons
from mmpl.training.config import TrainingConfig
from mmpl.training.ensemble_statistics import StatisticsConfig, fit_ensemble
from mmpl.training.errors import require
from mmpl.training.folds import PATIENT
from mmpl.training.ranks import launched
from mmpl.training.run import AS_USUAL, Networks, RunOptions, trained_networks


@dataclass(frozen=True)
class Ablations:
    """What :func:`ablate` found.

    Attributes
    ----------
    tables : title -> comparisons
    start : name of the bundle that stage 1 starts from with either loss, None for random weights
    phantom : whether the patients are synthetic
    """

    tables: Mapping[str, Sequence[Comparison]]
    start: str | None
    phantom: bool

    def to_dict(self) -> dict:
        kept = {title: [asdict(one) | {"verdict": one.verdict} for one in rows] for title, rows in self.tables.items()}
        return {"phantom": self.phantom, "start": self.start, "tables": kept}

    def text(self) -> str:
        """The tables for a terminal; phantom results say so."""
        lines = ["Phantom results: they say nothing about patients."] if self.phantom else []
        if self.start is not None:
            lines.append(f"With either loss, stage 1 starts from {self.start}: compared is how training goes on.")
        for title, rows in self.tables.items():
            if not rows:
                continue
            lines += ["", title]
            for row in rows:
                lines.append(f"  {row.what}, {row.patients} patients: {row.verdict}")
                lines += [f"    {name:<28} {_text(one)}" for name, one in (row.plain, row.full)]
                lines.append(f"    {'difference':<28} {_text(row.difference, signed=True)}")
        return "\n".join(lines).strip()


def ablate(
    data: Path, out: Path, config: TrainingConfig, options: RunOptions = AS_USUAL, *, progress: Progress = silent
) -> Ablations:
    """Compare the method with what it is without each of its parts; resumable, beside the training run in ``out``.

    Networks that the run lacks are trained first. Masks, deep scores and probabilities are out-of-fold throughout.

    Parameters
    ----------
    data, out, config, options : as of :func:`mmpl.training.run.train`

    Returns
    -------
    Ablations, written to ``out/ablation/ablation.json`` too

    Raises
    ------
    TrainingError
        If the cohort cannot be trained on, the run has no patient split, or torchrun has started several processes.
    """
    require(PATIENT in config.splits, "ablations need the patient split: add it to 'splits'")
    require(
        launched() == 1,
        "torchrun has started several processes, and 'mmpl ablate' works in one: train with torchrun, then give "
        "'mmpl ablate' without it",
    )
    with trained_networks(data, out, config, options, progress=progress) as networks:
        folder = Path(out).absolute() / "ablation"
        tables = _tables(folder, config, networks, options, progress)
        start = None if networks.start is None else networks.start.name
        found = Ablations(tables, start, (data / MANIFEST).is_file())
        write_json_atomic(folder / "ablation.json", found.to_dict())
    return found


def _tables(
    folder: Path, config: TrainingConfig, networks: Networks, options: RunOptions, progress: Progress
) -> dict[str, Sequence[Comparison]]:
    """Title -> comparisons; networks that they need are trained in ``folder``."""
    names = [run.split.name for run in networks.runs]
    patient = networks.runs[names.index(PATIENT)]
    with open_pool(1 if options.scheduler else config.workers, options.scheduler) as pool:
        segmentation = segmentation_comparisons(patient, networks.cases, folder, pool, progress=progress)
    progress("forests, Cox models and intervals", 0.0)
    statistics = fit_ensemble(networks.tables, StatisticsConfig(), config.seed)
    tables = {
        "Segmentation: loss of stage 1": segmentation,
        "HPV: what radiomics and clinical data add": hpv_comparisons(names, networks.tables, statistics),
        "RFS: what the Cox model adds": rfs_comparisons(names, networks.tables, statistics),
        "Leaving the patient's centre out": split_comparisons(names, statistics),
    }
    progress("forests, Cox models and intervals", 1.0)
    return tables


def _text(one: Figure, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{one.value:{sign}.3f} (95 % interval {one.low:{sign}.3f} to {one.high:{sign}.3f})"
