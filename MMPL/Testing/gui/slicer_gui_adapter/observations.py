"""VTK observations that end with the widget that made them."""

from __future__ import annotations

import weakref

import shiboken6


class Observations:
    """Observers of MRML objects on behalf of one widget.

    A scene outlives widgets; a callback into a deleted widget would crash or raise in an unrelated test.
    """

    def __init__(self, widget):
        self._widget = weakref.ref(widget)
        self._held: list[tuple[object, int]] = []

    def add(self, caller, event, method_name: str) -> None:
        """Call a method of the widget, without arguments, whenever an object fires an event."""

        def call(*_):
            widget = self._widget()
            if widget is None or not shiboken6.isValid(widget):
                self.clear()
                return
            # Held for the call: a parent collected as garbage meanwhile would delete the widget under its own feet.
            window = widget.window()
            getattr(widget, method_name)()
            del window

        self._held.append((caller, caller.AddObserver(event, call)))

    def clear(self) -> None:
        for caller, tag in self._held:
            caller.RemoveObserver(tag)
        self._held.clear()
