"""Pictures of panels, light and dark."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtGui, QtWidgets

LIGHT = {
    "Window": "#efefef",
    "WindowText": "#000000",
    "Base": "#ffffff",
    "AlternateBase": "#f7f7f7",
    "Text": "#000000",
    "Button": "#efefef",
    "ButtonText": "#000000",
    "Highlight": "#308cc6",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#ffffdc",
    "ToolTipText": "#000000",
    "PlaceholderText": "#7f7f7f",
    "Link": "#0000ff",
}
DARK = {
    "Window": "#353535",
    "WindowText": "#ffffff",
    "Base": "#2a2a2a",
    "AlternateBase": "#424242",
    "Text": "#ffffff",
    "Button": "#353535",
    "ButtonText": "#ffffff",
    "Highlight": "#2a82da",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#353535",
    "ToolTipText": "#ffffff",
    "PlaceholderText": "#9a9a9a",
    "Link": "#56a0f5",
}
DISABLED_TEXT = {"light": "#a0a0a0", "dark": "#7f7f7f"}


def palette(theme: str) -> QtGui.QPalette:
    """Slicer's palette for "light" or "dark"."""
    colors = {"light": LIGHT, "dark": DARK}[theme]
    made = QtGui.QPalette(QtGui.QColor(colors["Button"]), QtGui.QColor(colors["Window"]))
    for role, color in colors.items():
        made.setColor(QtGui.QPalette.ColorRole[role], QtGui.QColor(color))
    for role in ("WindowText", "Text", "ButtonText"):
        disabled = QtGui.QPalette.ColorGroup.Disabled
        made.setColor(disabled, QtGui.QPalette.ColorRole[role], QtGui.QColor(DISABLED_TEXT[theme]))
    return made


def use_theme(theme: str) -> None:
    """Switch the application's palette; widgets get a PaletteChange event as in Slicer."""
    QtWidgets.QApplication.setPalette(palette(theme))
    QtWidgets.QApplication.processEvents()


def needed_width(widget) -> int:
    """Width in pixels below which a widget is cut off."""
    return QtWidgets.QWidget.minimumSizeHint(widget).width()


def grab(widget, path, width: int) -> Path:
    """Lay a widget out at a width, without scrolling, and save a PNG of its full height.

    Parameters
    ----------
    widget : top-level QWidget, such as a module widget's ``parent``
    path : PNG file; its folder is made when absent
    width : pixels; a widget that needs more is cut off, as in a dock of that width

    Raises
    ------
    ValueError
        If the widget is part of another.
    OSError
        If the file cannot be written.
    """
    if widget.parentWidget() is not None:
        raise ValueError("grab takes a top-level widget: a part of a panel has the width that its parent gives it")
    container = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(container)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(widget)
    widget.show()
    container.setFixedWidth(width)
    container.show()
    for _ in range(3):  # word-wrapped labels and hidden parts settle after the first layout
        QtWidgets.QApplication.processEvents()
        for child in QtWidgets.QWidget.findChildren(widget, QtWidgets.QWidget):
            QtWidgets.QWidget.updateGeometry(child)  # heights are those of the width it was last drawn at
        column.activate()
        height = column.totalHeightForWidth(width) if column.hasHeightForWidth() else column.totalSizeHint().height()
        container.setFixedHeight(max(1, height))
    QtWidgets.QApplication.processEvents()
    try:
        return _saved(container.grab(), path)
    finally:
        column.removeWidget(widget)
        widget.setParent(None)
        container.deleteLater()


def _saved(pixmap: QtGui.QPixmap, path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not pixmap.save(str(path), "PNG"):
        raise OSError(f"picture cannot be written to {path}")
    return path
