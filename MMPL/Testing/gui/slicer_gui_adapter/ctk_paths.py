"""Widgets of ``ctk`` that hold a path."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from slicer_gui_adapter.qt_module import qt


def _stored(kind, name: str, start):
    """A property that keeps its value and does nothing else."""
    key = f"_stored_{name}"
    return QtCore.Property(kind, lambda self: getattr(self, key, start), lambda self, v: setattr(self, key, v))


class PathLineEdit(QtWidgets.QWidget):
    """An editable path with a history list and a browse button."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    Dirs, Files, Drives, NoSymLinks = 0x1, 0x2, 0x4, 0x8
    AllEntries, Readable, Writable, Executable, Hidden = 0x7, 0x10, 0x20, 0x40, 0x100
    NoDot, NoDotDot, NoDotAndDotDot = 0x2000, 0x4000, 0x6000

    def __init__(self, parent=None):
        super().__init__(parent)
        self._path = ""
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._combo.setMinimumContentsLength(8)
        self._combo.editTextChanged.connect(self.setCurrentPath)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        self._browse.clicked.connect(self.browse)
        row.addWidget(self._combo)
        row.addWidget(self._browse)

    def setCurrentPath(self, path: str) -> None:
        if path == self._path:
            return
        was_valid, self._path = bool(self._path), path
        self._combo.setEditText(path)
        if bool(path) != was_valid:
            self.validInputChanged.emit(bool(path))
        if path:  # the real one says nothing of a path that is no valid input
            self.currentPathChanged.emit(path)

    def browse(self) -> None:
        wants_file = int(self.property("filters")) & self.Files
        path = qt.QFileDialog.getOpenFileName() if wants_file else qt.QFileDialog.getExistingDirectory()
        if path:
            self.setCurrentPath(path)

    def comboBox(self):
        return self._combo

    def addCurrentPathToHistory(self) -> None:
        if self._path and self._combo.findText(self._path) < 0:
            self._combo.addItem(self._path)

    def retrieveHistory(self) -> None:
        """The real one reads the settings; tests start without a history."""

    def _show_browse(self, shown: bool) -> None:
        self._browse.setVisible(shown)

    currentPath = QtCore.Property(str, lambda self: self._path, setCurrentPath, notify=currentPathChanged)
    showBrowseButton = QtCore.Property(bool, lambda self: not self._browse.isHidden(), _show_browse)
    filters = _stored(int, "filters", AllEntries)
    nameFilters = _stored("QStringList", "nameFilters", [])
    label = _stored(str, "label", "")
    settingKey = _stored(str, "settingKey", "")
    options = _stored(int, "options", 0)
    showHistoryButton = _stored(bool, "showHistoryButton", True)
    minimumContentsLength = _stored(int, "minimumContentsLength", 0)
    sizeAdjustPolicy = _stored(int, "sizeAdjustPolicy", 0)


class DirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and asks for another."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._button = QtWidgets.QPushButton(self)
        self._button.clicked.connect(self.browse)
        row.addWidget(self._button)
        self._folder = ""
        self._set_directory(next((a for a in args if isinstance(a, str)), "."))

    def browse(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory()
        if folder:
            self._set_directory(folder)
            self.directorySelected.emit(folder)

    def _set_directory(self, folder: str) -> None:
        absolute = QtCore.QDir(folder).absolutePath()
        if absolute == self._folder:
            return
        self._folder = absolute
        self._button.setText(absolute)
        self.directoryChanged.emit(absolute)

    directory = QtCore.Property(str, lambda self: self._folder, _set_directory, notify=directoryChanged)
    caption = _stored(str, "caption", "")
