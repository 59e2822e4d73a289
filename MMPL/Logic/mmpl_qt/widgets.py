"""Small things that every section does with its widgets."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import qt

import slicer


@contextmanager
def silent(*widgets):
    """Changes made by us are not signalled as the user's."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, blocked in zip(widgets, before, strict=True):
            widget.blockSignals(blocked)


def show_text(label, text: str) -> None:
    """Set a label's text; it takes no room while it is empty."""
    label.setText(text)
    label.setVisible(bool(text))


def set_path(path_edit, path: str) -> None:
    """Show a path, unless it is shown already, perhaps with other slashes: the user may be typing it."""
    shown = path_edit.property("currentPath")
    if bool(shown) != bool(path) or Path(shown) != Path(path):
        with silent(path_edit):
            path_edit.setCurrentPath(path)


def on_path(path_edit, exists, chosen) -> None:
    """Call ``chosen`` with a path once it names something that ``exists``, and with "" once it is empty.

    The box signals every keystroke, and that it has become empty by its validity only.
    """

    def changed(*_args):
        text = path_edit.property("currentPath").strip()
        if not text or exists(Path(text)):
            chosen(text)

    path_edit.currentPathChanged.connect(changed)
    path_edit.validInputChanged.connect(changed)


def table_cell(text: str, *, right: bool = False, color=None, tip: str = ""):
    """A table's cell; ``color`` is red, green, blue of 0 to 1, shown as a swatch."""
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip or text)
    if right:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    if color is not None:
        swatch = qt.QPixmap(12, 12)
        swatch.fill(qt.QColor(*(round(255 * c) for c in color)))
        item.setIcon(qt.QIcon(swatch))
    return item


def fit_rows(table, most: int = 8) -> None:
    """Make a table as tall as its rows, at most ``most`` of them; more are scrolled."""
    table.resizeRowsToContents()
    count = table.property("rowCount")
    rows = sum(table.rowHeight(row) for row in range(min(count, most)))
    height = rows + table.horizontalHeader().property("height") + 4 if count else 0
    table.setMinimumHeight(height)
    table.setMaximumHeight(height)


def stretch_first_column(table, titles) -> None:
    """Column titles; the first column takes the room that the others leave."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().hide()
    table.setWordWrap(False)  # what is too long is cut; the tip says it in full
    header = table.horizontalHeader()
    header.setMinimumSectionSize(20)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def node_of(node_id: str):
    """A scene's node by its ID, None for none."""
    return slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
