"""An evaluation as one self-contained HTML page, in the look and under the policy of the patient report."""

from __future__ import annotations

from collections.abc import Mapping

from mmpl.evaluation.findings import NOT_GIVEN, Chart, Evaluation, Figure, FigureTable, Measure, cell_text, reasons
from mmpl.report.html import facts_table, html_page, html_section
from mmpl.report.text import MISSING, escape, sentence
from mmpl.results import RESEARCH_USE


def render_evaluation(evaluation: Evaluation, *, inputs: Mapping[str, object], generated: str) -> str:
    """The experiment report as one HTML document.

    Parameters
    ----------
    evaluation : Evaluation
    inputs : what was compared: "Predictions" and "Truth" to their names
    generated : when and by what, for the header

    Returns
    -------
    str : HTML; the page's own policy forbids it to load or run anything
    """
    sections = (
        _header(evaluation, generated),
        html_section("Figures", _measures(evaluation) + _notes(evaluation)),
        *(html_section(chart.title, _chart(chart)) for chart in evaluation.charts),
        *(html_section(table.title, table_html(table)) for table in evaluation.tables),
        html_section("Patients", facts_table([(_capital(name), value) for name, value in evaluation.counts.items()])),
        html_section("Method", facts_table([*inputs.items(), *_settings(evaluation.settings)])),
    )
    return html_page(f"evaluation of {evaluation.title}", "\n".join(sections))


def _header(evaluation: Evaluation, generated: str) -> str:
    return (
        '<header>\n<p class="kind">MMPL experiment report: predictions against truth</p>\n'
        f"<h1>{escape(evaluation.title)}</h1>\n"
        f'<p class="meta">{escape(generated)} · {evaluation.counts["patients scored"]} patients scored</p>\n'
        f'<p class="research">{escape(RESEARCH_USE)}</p>\n</header>'
    )


def _measures(evaluation: Evaluation) -> str:
    head = _head(("Measure", "Value", "95 % interval"))
    rows = "".join(_measure_row(measure) for measure in evaluation.measures)
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _measure_row(measure: Measure) -> str:
    figure = measure.figure
    name = f'<th scope="row">{escape(measure.label)}</th>'
    if figure.value is None:
        why = escape(sentence(figure.reason or "no reason is recorded"))
        return f'<tr>{name}<td class="num">{NOT_GIVEN}</td><td class="note">{why}</td></tr>'
    return f'<tr>{name}<td class="num"><strong>{figure.value_text}</strong></td>{_cell(_interval(figure))}</tr>'


def _interval(figure: Figure) -> str:
    return MISSING if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"


def _chart(chart: Chart) -> str:
    note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
    return f"<figure>{chart.svg}{note}</figure>"


def table_html(table: FigureTable) -> str:
    """A table, with why figures are not given, and its note, below it."""
    notes = [*(f"Not given: {reason}." for reason in reasons(table.rows)), *([table.note] if table.note else [])]
    text = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    if not table.rows:
        return text
    rows = "".join(_table_row(table, row) for row in table.rows)
    return f"<table>{_head(tuple(table.columns.values()))}<tbody>{rows}</tbody></table>{text}"


def _table_row(table: FigureTable, row: Mapping[str, object]) -> str:
    first, *rest = table.columns
    cells = "".join(_cell(cell_text(row.get(key))) for key in rest)
    return f'<tr><th scope="row">{escape(cell_text(row[first]))}</th>{cells}</tr>'


def _head(titles: tuple[str, ...]) -> str:
    first, *rest = (escape(title) for title in titles)
    cells = "".join(f'<th class="num" scope="col">{title}</th>' for title in rest)
    return f'<thead><tr><th scope="col">{first}</th>{cells}</tr></thead>'


def _cell(text: str) -> str:
    return f'<td class="num">{escape(text)}</td>'


def _settings(settings: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(_capital(name.replace("_", " ")), _plain(value)) for name, value in settings.items()]


def _plain(value: object) -> object:
    return " to ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else value


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _notes(evaluation: Evaluation) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in evaluation.notes)
    return f'<ul class="reading">{items}</ul>' if items else ""
