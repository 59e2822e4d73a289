"""VTK observations that end with the widget that made them."""

from __future__ import annotations

import weakref

import shiboken6
import vtk


class Observations:
    """Observers of MRML objects on behalf of one widget.

    A scene outlives widgets; a callback into a deleted widget would crash or raise in an unrelated test.
    """

    def __init__(self, widget):
        self._widget = weakref.ref(widget)
        self._held: list[tuple[object, int]] = []

    def add(self, caller, event, method_name: str, priority: float | None = None) -> None:
        """Call a method of the widget whenever an object fires an event.

        Parameters
        ----------
        priority : below 0 for after the others; the method is then given the event's node, else nothing
        """

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def with_node(_caller, _event, node):
            call(node)

        def call(*arguments):
            widget = self._widget()
            if widget is None or not shiboken6.isValid(widget):
                self.clear()
                return
            # Held for the call: a parent collected as garbage meanwhile would delete the widget under its own feet.
            window = widget.window()
            getattr(widget, method_name)(*(arguments if priority is not None else ()))
            del window

        if priority is None:
            self._held.append((caller, caller.AddObserver(event, call)))
        else:
            self._held.append((caller, caller.AddObserver(event, with_node, priority)))

    def clear(self) -> None:
        for caller, tag in self._held:
            caller.RemoveObserver(tag)
        self._held.clear()
