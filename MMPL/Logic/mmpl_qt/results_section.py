"""HPV probability, RFS curve, and what drives both."""

from __future__ import annotations

from html import escape

import qt
from slicer.i18n import tr as _

from mmpl_qt.hpv_bar import SHARE_HEIGHT, SHARE_WIDTH, hpv_picture, share_picture
from mmpl_qt.plot import RfsPlot
from mmpl_qt.text import GREEN, GREY, ORANGE, bold, colored, paragraphs, table
from mmpl_qt.widgets import fit_rows, show_text, stretch_first_column, table_cell
from mmpl_slicer.panel_state import PanelState, ResultsState

BAR_WIDTH = 340  # fits a dock of 400 pixels


class ResultsSection:
    """What the numbers are, and whether they are those of the contours as they are."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.plot = RfsPlot(ui.plotLayout)
        for drivers in (ui.hpvDrivers, ui.rfsDrivers):
            stretch_first_column(drivers, (_("Feature"), _("Value"), _("Effect")))
            drivers.setIconSize(qt.QSize(SHARE_WIDTH, SHARE_HEIGHT))
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
        self._render_drivers(ui.hpvDrivers, results.hpv_drivers)
        self._render_drivers(ui.rfsDrivers, results.rfs_drivers)
        ui.warningsBox.setVisible(bool(results.warnings))
        ui.warningsLabel.setText(paragraphs(escape(text) for text in results.warnings))

    def _render_bar(self, results: ResultsState) -> None:
        label = self.ui.hpvBar
        label.setVisible(results.hpv_probability is not None)
        if results.hpv_probability is not None:
            palette = label.property("palette")
            ink = qt.QColor(palette.color(qt.QPalette.WindowText))
            label.setPixmap(hpv_picture(results, BAR_WIDTH, ink))

    def _render_drivers(self, table, drivers) -> None:
        table.setRowCount(len(drivers))
        for row, one in enumerate(drivers):
            table.setItem(row, 0, table_cell(one.feature, tip=one.column))
            table.setItem(row, 1, table_cell(one.value, right=True))
            effect = table_cell(one.effect, right=True)
            effect.setIcon(qt.QIcon(share_picture(one.share)))
            table.setItem(row, 2, effect)
        fit_rows(table)


def _freshness(results: ResultsState) -> str:
    if results.available and results.current:
        return colored("● " + _("Current: the numbers are those of the contours"), GREEN)
    return colored("● " + results.stale_text, ORANGE) if results.stale_text else ""


def _survival(results: ResultsState) -> str:
    if not results.survival:
        return ""
    times = [colored(time, GREY) for time, _value in results.survival]
    return table([[_("RFS at"), *times], ["", *(bold(value) for _time, value in results.survival)]])
