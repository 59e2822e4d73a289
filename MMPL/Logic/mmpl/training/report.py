"""A training run as one self-contained page: its learning curves and what its folds came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import pandas as pd

from mmpl.evaluation.charts import curve_stroke
from mmpl.evaluation.findings import FigureTable
from mmpl.evaluation.page import table_html
from mmpl.metrics.segmentation import MEASURES, CaseScore
from mmpl.report.charts import Frame, draw_line, draw_text, svg_element
from mmpl.report.html import PHANTOM_LINE, facts_table, html_page, html_section
from mmpl.report.text import escape
from mmpl.results import RESEARCH_USE
from mmpl.training.assemble import Provenance
from mmpl.training.config import TrainingConfig
from mmpl.training.curves import read_losses
from mmpl.training.split_run import SplitRun
from mmpl.training.stages import HPV, RFS, SEGMENTATION

STAGE_NAMES = {SEGMENTATION: "segmentation", HPV: "HPV", RFS: "RFS"}
CONTOURS = {"gtvp_dice": "GTVp mean Dice", "gtvn_dice_agg": "GTVn Dice", "gtvn_f1_agg": "GTVn F1agg"}
OUTCOMES = {"auc": "HPV AUC", "balanced_accuracy": "Balanced accuracy", "c_index": "RFS C-index"}
COLUMNS = {
    **{"fold": "Fold", "member": "Member", "training": "Trained on", "held_out": "Held out"},
    **CONTOURS,
    **OUTCOMES,
}
NOTE = (
    "Of the patients held out. Contours are those of one network, cut at the thresholds that suit the other folds; "
    "GTVn's figures are of all nodes together. The balanced accuracy is at the threshold chosen on all patients."
)
LEGEND_COLUMNS, LEGEND_WIDTH, LEGEND_ROW = 5, 110, 20  # names, SVG units


def render_run(
    config: TrainingConfig,
    runs: Sequence[SplitRun],
    metrics: pd.DataFrame,
    scores: Mapping[str, Mapping[str, CaseScore]],
    provenance: Provenance,
) -> str:
    """The report of a run as one HTML document.

    Parameters
    ----------
    runs : one a split, their networks trained
    metrics : of :class:`mmpl.training.ensemble_statistics.EnsembleStatistics`
    scores : of :class:`mmpl.training.out_of_fold.OutOfFold`

    Returns
    -------
    str : HTML; the page's own policy forbids it to load or run anything
    """
    facts = [
        ("Training data", provenance.training_data),
        ("Seed", config.seed),
        ("Voxel size of the networks (mm)", config.network.spacing_mm),
        *((f"Epochs, {name}", getattr(config, stage).epochs) for stage, name in STAGE_NAMES.items()),
    ]
    sections = (
        _header(config, provenance),
        *(
            html_section(f"Learning curves: {name}", "".join(_charts(runs, stage)))
            for stage, name in STAGE_NAMES.items()
        ),
        *(html_section(table.title, table_html(table)) for table in _fold_tables(runs, metrics, scores)),
        html_section("Run", facts_table(facts)),
    )
    return html_page(f"training of {config.name}", "\n".join(sections))


def _header(config: TrainingConfig, provenance: Provenance) -> str:
    phantom = f'<p class="phantom">{PHANTOM_LINE}</p>' if provenance.phantom else ""
    return (
        '<header>\n<p class="kind">MMPL training report: learning curves and folds</p>\n'
        f"<h1>{escape(config.name)}, version {escape(config.version)}</h1>\n"
        f'<p class="meta">Begun on {escape(provenance.created)}</p>\n'
        f'{phantom}<p class="research">{escape(RESEARCH_USE)}</p>\n</header>'
    )


def _charts(runs: Sequence[SplitRun], stage: str) -> Iterator[str]:
    for run in runs:
        curves = [(f"fold {fold}", read_losses(stages[stage].folder)) for fold, stages in enumerate(run.networks)]
        yield f"<figure>{learning_chart(curves, title=f'{STAGE_NAMES[stage]}, {run.split.name} split')}</figure>"


def learning_chart(curves: Sequence[tuple[str, Sequence[float]]], *, title: str) -> str:
    """Mean loss by epoch, a line a network; a dot marks its last epoch.

    Parameters
    ----------
    curves : (name, losses of epochs 1, 2, ...) a network
    title : text

    Returns
    -------
    str : an svg element
    """
    known = [(name, losses) for name, losses in curves if losses]
    epochs = max((len(losses) for _, losses in known), default=1)
    top = max((max(losses) for _, losses in known), default=0.0) or 1.0
    frame = Frame(left=66, top=52, width=530, height=200, x_max=epochs, y_max=top)
    parts = [draw_text(frame.left - 50, 18, title, "axis-title", "start"), _axes(frame)]
    for number, (name, losses) in enumerate(known):
        parts.append(_curve(frame, losses, number))
        row, column = divmod(number, LEGEND_COLUMNS)
        x, y = frame.left + LEGEND_WIDTH * column, frame.bottom + 66 + LEGEND_ROW * row
        parts.append(f'<path d="M{x:.1f},{y - 4:.1f}h28" {curve_stroke(number)}/>')
        parts.append(draw_text(x + 34, y, name, "mark", "start"))
    rows = -(-len(known) // LEGEND_COLUMNS)
    described = "; ".join(f"{name}: {losses[0]:.3g} to {losses[-1]:.3g}" for name, losses in known)
    height = frame.bottom + 56 + LEGEND_ROW * rows
    return svg_element(630, height, f"Learning curves: {title}", described, "".join(parts))


def _axes(frame: Frame) -> str:
    parts = []
    for share in (0, 0.5, 1):
        y = frame.y(share * frame.y_max)
        parts.append(draw_line("grid", frame.left, y, frame.right, y))
        parts.append(draw_text(frame.left - 8, y + 4, f"{share * frame.y_max:.3g}", "tick", "end"))
    for epoch in sorted({1, -(-int(frame.x_max) // 2), int(frame.x_max)}):
        x = frame.x(epoch)
        parts.append(draw_line("axis", x, frame.bottom, x, frame.bottom + 5))
        parts.append(draw_text(x, frame.bottom + 19, str(epoch), "tick", "middle"))
    parts.append(draw_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(draw_text((frame.left + frame.right) / 2, frame.bottom + 40, "Epoch", "axis-title", "middle"))
    parts.append(draw_text(frame.left - 50, frame.top - 14, "Mean loss", "axis-title", "start"))
    return "".join(parts)


def _curve(frame: Frame, losses: Sequence[float], number: int) -> str:
    points = [f"{frame.x(epoch):.1f},{frame.y(loss):.1f}" for epoch, loss in enumerate(losses, start=1)]
    x, y = points[-1].split(",")
    return f'<path d="M{"L".join(points)}" {curve_stroke(number)}/><circle class="end-dot" cx="{x}" cy="{y}" r="3"/>'


def _fold_tables(
    runs: Sequence[SplitRun], metrics: pd.DataFrame, scores: Mapping[str, Mapping[str, CaseScore]]
) -> Iterator[FigureTable]:
    """One a split; members are numbered through all of them."""
    members = count()
    for number, run in enumerate(runs):
        fold_of, drawn = run.split.fold_of, scores[run.split.name]
        held_out = Counter(fold_of.values())
        found = metrics[metrics["split"] == number].set_index("fold")[list(OUTCOMES)].astype(float)
        rows = [
            {
                "fold": fold,
                "member": f"member_{next(members)}",
                "training": held_out.total() - held_out[fold],
                "held_out": held_out[fold],
                **contour_measures([score for patient, score in drawn.items() if fold_of[patient] == fold]),
                **found.loc[str(fold)].to_dict(),
            }
            for fold in range(run.split.folds)
        ]
        pooled = {**contour_measures([*drawn.values()]), **found.loc["pooled"].to_dict()}
        rows.append({"fold": "all", "held_out": held_out.total(), **pooled})
        yield FigureTable(run.split.name, f"Out of fold: {run.split.name} split", COLUMNS, rows, NOTE)


def contour_measures(scores: Sequence[CaseScore]) -> dict[str, float]:
    """Those of ``CONTOURS``, NaN where there is nothing to measure."""
    return {name: MEASURES[name](scores) for name in CONTOURS}
