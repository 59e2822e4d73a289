"""HPV probability, RFS curve, and what drives both."""

from __future__ import annotations

from html import escape

import qt
from slicer.i18n import tr as _

from mmpl_qt.hpv_bar import hpv_picture
from mmpl_qt.plot import RfsPlot
from mmpl_qt.text import GREEN, GREY, ORANGE, bar, bold, colored, paragraphs, table
from mmpl_qt.widgets import show_text
from mmpl_slicer.panel_state import PanelState, ResultsState

NARROWEST = 300


class ResultsSection:
    """What the numbers are, and whether they are those of the contours as they are."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.plot = RfsPlot(ui.plotLayout)
        ui.updateButton.clicked.connect(lambda *_: presenter.update_now())

    def render(self, state: PanelState) -> None:
        ui, results = self.ui, state.results
        show_text(ui.staleLabel, _freshness(results))
        ui.updateButton.setEnabled(results.available or bool(state.contours.segmentation_id))
        show_text(ui.hpvLabel, bold(results.hpv_text) if results.hpv_text else "")
        self._render_bar(results)
        show_text(ui.hpvKnownLabel, colored(results.hpv_known, GREY) if results.hpv_known else "")
        ui.plotFrame.setVisible(bool(results.chart_id))
        self.plot.show(results.chart_id)
        show_text(ui.survivalLabel, _survival(results))
        show_text(ui.riskLabel, bold(results.rfs_text) if results.rfs_text else "")
        show_text(ui.deepLabel, colored(results.deep_note, GREY) if results.deep_note else "")
        ui.driversBox.setVisible(results.available)
        ui.driversLabel.setText(_drivers(results))
        ui.warningsBox.setVisible(bool(results.warnings))
        ui.warningsLabel.setText(paragraphs(escape(text) for text in results.warnings))

    def _render_bar(self, results: ResultsState) -> None:
        label = self.ui.hpvBar
        label.setVisible(results.hpv_probability is not None)
        if results.hpv_probability is not None:
            width = max(NARROWEST, label.property("width"))
            ink = label.property("palette").color(qt.QPalette.WindowText)
            label.setPixmap(hpv_picture(results, min(width, 500), ink))


def _freshness(results: ResultsState) -> str:
    if results.available and results.current:
        return colored("● " + _("Current: the numbers are those of the contours"), GREEN)
    return colored("● " + results.stale_text, ORANGE) if results.stale_text else ""


def _survival(results: ResultsState) -> str:
    if not results.survival:
        return ""
    times = [colored(time, GREY) for time, _value in results.survival]
    return table([[_("RFS at"), *times], ["", *(bold(value) for _time, value in results.survival)]])


def _drivers(results: ResultsState) -> str:
    parts = []
    for title, drivers in (
        (_("HPV (change of the probability)"), results.hpv_drivers),
        (_("RFS (log hazard; + is earlier relapse)"), results.rfs_drivers),
    ):
        rows = [
            (escape(one.effect), bar(one.share), escape(_readable(one.feature)), escape(one.value)) for one in drivers
        ]
        parts.append(bold(title) + (table(rows) if rows else "<br>" + _("nothing")))
    return "<br>".join(parts)


def _readable(feature: str) -> str:
    """A column's name with places to break the line at."""
    return feature.replace("_", "_\u200b")
