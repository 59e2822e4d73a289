"""An evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from mmpl.evaluation.findings import Evaluation, FigureTable, cell_text, reasons
from mmpl.results import RESEARCH_USE


def as_text(evaluation: Evaluation) -> str:
    """Counts, figures and tables, aligned, then what must be known of them."""
    counts = [(name, cell_text(value)) for name, value in evaluation.counts.items() if value not in (0, None)]
    measures = [(m.label, m.figure.text) for m in evaluation.measures]
    blocks = [evaluation.title, _aligned(counts), "value (95 % interval)\n" + _aligned(measures)]
    blocks += [_table(table) for table in evaluation.tables]
    missing = [f"{m.label}: not given, {m.figure.reason}" for m in evaluation.measures if m.figure.reason]
    blocks.append("\n".join([*missing, *evaluation.notes, RESEARCH_USE]))
    return "\n\n".join(block for block in blocks if block)


def _table(table: FigureTable) -> str:
    rows = [tuple(cell_text(row.get(key)) for key in table.columns) for row in table.rows]
    lines = [table.title]
    if rows:
        lines.append(_aligned([tuple(table.columns.values()), *rows]))
    lines += [f"not given: {reason}" for reason in reasons(table.rows)]
    return "\n".join([*lines, *([table.note] if table.note else [])])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first to the left and the others to the right."""
    if not rows:
        return ""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  " + _line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    rest = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *rest]).rstrip()
