"""Tables, label maps and results of a few made-up patients, and ``mmpl evaluate`` run on them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from mmpl.geometry import Geometry, Volume
from mmpl.results import ClassFigures, HpvResult, LesionFigures, Results, RfsResult, SurvivalCurve
from mmpl.survival.ensemble import null_rfs

GRID = Geometry((16, 12, 10), (2.0, 2.0, 3.0), (-15.0, -11.0, -13.0))
NOTHING = ClassFigures(LesionFigures(0.0, None, None, None, None, None), ())
IMAGE = {"size": (8, 8, 8), "spacing_mm": (1.0, 1.0, 1.0), "origin_mm": (0.0, 0.0, 0.0)}


@pytest.fixture
def table(tmp_path) -> Callable[..., Path]:
    """Writes a CSV: a name, the columns in one text, the rows; or the whole text."""

    def write(name: str, columns: str, *rows: Sequence[object]) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            stream.write(columns + "\n")
            csv.writer(stream).writerows(rows)
        return path

    return write


@pytest.fixture
def evaluate(mmpl) -> Callable[..., object]:
    """Runs ``mmpl evaluate`` with few resamples."""
    return lambda task, pred, truth, *options: mmpl(
        "evaluate", task, "--pred", pred, "--truth", truth, "--resamples", 25, *options
    )


@pytest.fixture
def scored(evaluate, tmp_path) -> Callable[..., dict]:
    """Evaluates and reads the JSON that was written."""

    def run(task: str, pred: Path, truth: Path, *options: object) -> dict:
        ran = evaluate(task, pred, truth, "--json", tmp_path / "figures.json", *options)
        assert (ran.code, ran.errors) == (0, [])
        return json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture
def refused(evaluate, tmp_path, contents) -> Callable[..., str]:
    """Evaluates what must be refused: exit code 2, one line on standard error, nothing written; gives the line."""

    def run(task: str, pred: Path, truth: Path, *options: object) -> str:
        before = contents(tmp_path)
        outputs = [part for kind in ("json", "csv", "html") for part in (f"--{kind}", tmp_path / f"out.{kind}")]
        ran = evaluate(task, pred, truth, *outputs, *options)
        assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1), ran
        assert contents(tmp_path) == before
        return ran.errors[0].removeprefix("mmpl evaluate: ")

    return run


@pytest.fixture
def grid() -> Geometry:
    """The grid of label maps: 16 x 12 x 10 voxels of 2 x 2 x 3 mm."""
    return GRID


@pytest.fixture
def label_maps(save_image, tmp_path) -> Callable[..., Path]:
    """Writes label maps into a folder; bars along x, as (label, start, stop, row) a patient, by relative path."""

    def write(folder: str, patients: dict[str, list[tuple[int, int, int, int]]], grid: Geometry = GRID) -> Path:
        for path, bars in patients.items():
            save_image(Volume(bars_of(bars, grid), grid), tmp_path / folder / path)
        return tmp_path / folder

    return write


def bars_of(bars: list[tuple[int, int, int, int]], grid: Geometry) -> np.ndarray:
    labels = np.zeros(grid.shape, np.uint8)
    for label, start, stop, row in bars:
        labels[4:6, row : row + 2, start:stop] = label
    return labels


@pytest.fixture
def results_json(tmp_path) -> Callable[..., Path]:
    """Writes a patient's results.json into ``results/NAME`` and gives ``results``."""

    def write(
        case_id: str,
        *,
        probability: float | None = 0.5,
        threshold: float = 0.4,
        risk: float | None = 0.0,
        group: str = "low",
        survival: Sequence[float | None] = (1.0, 0.9, None),
        step: float = 365.0,
        at: Mapping[str, float | None] | None = None,
        name: str | None = None,
        of: str = "0",
        phantom: bool = True,
    ) -> Path:
        status = None if probability is None else ("positive" if probability >= threshold else "negative")
        base = None if probability is None else 0.5
        hpv = HpvResult(probability, threshold, status, base=base, reason=None if status else "no lesion")
        days = tuple(step * k for k in range(len(survival)))
        curve = SurvivalCurve(days, tuple(survival), tuple(survival), tuple(survival))
        years = {**dict.fromkeys(("1y", "2y", "3y", "5y")), **(at or {})}
        rfs = (
            RfsResult("day 0", risk, group, 900.0, curve, years) if risk is not None else null_rfs("day 0", "no lesion")
        )
        results = Results(
            case_id=case_id,
            bundle={"name": "b", "version": "1", "sha256": of * 64, "phantom": phantom, "members": 1},
            inputs={"ct": IMAGE, "pet": IMAGE, "pet_units": "SUVbw"},
            lesions={"GTVp": NOTHING, "GTVn": NOTHING},
            hpv=hpv,
            rfs=rfs,
            contributions={"hpv": (), "rfs": ()},
            warnings=(),
            timings_s={},
        )
        path = tmp_path / "results" / (name or case_id) / "results.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results.as_dict()), encoding="utf-8")
        return tmp_path / "results"

    return write
