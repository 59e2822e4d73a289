"""The widgets of ``ctk`` that panels use, as thin as they can be while looking and behaving like the real ones."""

from __future__ import annotations

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_gui_adapter.contract import class_contract, names
from slicer_gui_adapter.qt_module import qt
from slicer_gui_adapter.strict import StrictModule, strict_class

UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class _Contents:
    """Direct children of a collapsible widget; those hidden for other reasons stay hidden when it opens."""

    def __init__(self, owner: QtWidgets.QWidget):
        self._owner = owner
        self._hidden: list[QtWidgets.QWidget] = []

    def show(self, shown: bool) -> None:
        if shown:
            for child in filter(shiboken6.isValid, self._hidden):
                child.setVisible(True)
            self._hidden = []
            return
        only_direct = QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        fresh = [w for w in self._owner.findChildren(QtWidgets.QWidget, options=only_direct) if not w.isHidden()]
        self._hidden += fresh
        for child in fresh:
            child.setVisible(False)


class CollapsibleButton(QtWidgets.QAbstractButton):
    """A header over its contents; a click on the header hides or shows them."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *args):
        text, parent = _text_and_parent(args)
        super().__init__(parent)
        self._flat, self._collapsed_height, self._line_width, self._frame = False, 0, 1, 0
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Minimum)
        self._contents = _Contents(self)
        self._make_room()
        self.toggled.connect(self._show_contents)

    def _header_height(self) -> int:
        return self.fontMetrics().height() + 8

    def _make_room(self) -> None:
        side = self._line_width
        self.setContentsMargins(side, self._header_height(), side, side)

    def _show_contents(self, shown: bool) -> None:
        self._contents.show(shown)
        self.setMaximumHeight(UNLIMITED if shown else self._header_height() + self._collapsed_height)
        self.updateGeometry()
        self.contentsCollapsed.emit(not shown)

    def showEvent(self, event):
        # Contents may be laid out after the button was collapsed, as .ui files do.
        if not self.isChecked():
            self._contents.show(False)
        super().showEvent(event)

    def hitButton(self, position) -> bool:
        return position.y() <= self._header_height()

    def sizeHint(self):
        hint = super().sizeHint() if self.layout() is None else self.layout().totalSizeHint()
        return self._at_least_header(hint)

    def minimumSizeHint(self):
        hint = super().minimumSizeHint() if self.layout() is None else self.layout().totalMinimumSize()
        return self._at_least_header(hint)

    def _at_least_header(self, hint):
        height = self._header_height()
        width = max(hint.width(), self.fontMetrics().horizontalAdvance(self.text()) + 30)
        if not self.isChecked():
            return QtCore.QSize(width, height + self._collapsed_height)
        return QtCore.QSize(width, max(hint.height(), height))

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        header = QtCore.QRect(0, 0, self.width(), self._header_height())
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = header
        option.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        element = QtWidgets.QStyle.PrimitiveElement
        arrow = element.PE_IndicatorArrowDown if self.isChecked() else element.PE_IndicatorArrowRight
        option.rect = QtCore.QRect(8, (header.height() - 10) // 2, 10, 10)
        painter.drawPrimitive(arrow, option)
        inside = header.adjusted(26, 0, -6, 0)
        left = QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.AlignmentFlag.AlignLeft
        painter.drawItemText(inside, left, self.palette(), self.isEnabled(), self.text(), QtGui.QPalette.ButtonText)
        if self.isChecked() and self._line_width:
            painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.Mid))
            painter.drawRect(self.rect().adjusted(0, header.height(), -1, -1))

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    def _set_line_width(self, width: int) -> None:
        self._line_width = width
        self._make_room()

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), _set_collapsed)
    contentsLineWidth = QtCore.Property(int, lambda self: self._line_width, _set_line_width)
    flat = QtCore.Property(bool, lambda self: self._flat, lambda self, value: setattr(self, "_flat", value))
    collapsedHeight = QtCore.Property(
        int, lambda self: self._collapsed_height, lambda self, value: setattr(self, "_collapsed_height", value)
    )
    contentsFrameShape = QtCore.Property(
        int, lambda self: self._frame, lambda self, value: setattr(self, "_frame", value)
    )


class CollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark hides its contents."""

    def __init__(self, *args):
        text, parent = _text_and_parent(args)
        super().__init__(text, parent)
        self.setCheckable(True)
        self.setChecked(True)
        self._contents = _Contents(self)
        self.toggled.connect(self._show_contents)

    def _show_contents(self, shown: bool) -> None:
        self._contents.show(shown)
        self.setMaximumHeight(UNLIMITED if shown else self.fontMetrics().height() + 8)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))


def _text_and_parent(args) -> tuple[str, QtWidgets.QWidget | None]:
    """Arguments of the constructors (parent), (text), (text, parent)."""
    text = next((a for a in args if isinstance(a, str)), "")
    return text, next((a for a in args if isinstance(a, QtWidgets.QWidget)), None)


class CtkModule(StrictModule):
    """The ``ctk`` module: names that Slicer has and that this adapter substitutes."""

    def __getattr__(self, name):
        if name.startswith("__") or name not in names("ctk"):
            raise AttributeError(f"ctk.{name} does not exist in Slicer")
        raise AttributeError(f"ctk.{name} exists in Slicer but has no substitute yet: add one to slicer_gui_adapter")


def substitutes() -> dict[str, type]:
    """Substitutes by class name."""
    from slicer_gui_adapter.ctk_paths import DirectoryButton, PathLineEdit

    return {
        "ctkCollapsibleButton": CollapsibleButton,
        "ctkCollapsibleGroupBox": CollapsibleGroupBox,
        "ctkPathLineEdit": PathLineEdit,
        "ctkDirectoryButton": DirectoryButton,
    }


def make_module() -> CtkModule:
    module = CtkModule("ctk", __doc__)
    for name, real in substitutes().items():
        setattr(module, name, strict_class(real, class_contract(f"ctk.{name}")))
    return module


ctk = make_module()
__all__ = ["ctk", "qt", "substitutes"]
