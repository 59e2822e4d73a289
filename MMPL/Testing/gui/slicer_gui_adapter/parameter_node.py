"""``slicer.parameterNodeWrapper``: a class of typed attributes that live in a node of the scene."""

from __future__ import annotations

import typing

from vtk import vtkCommand

from slicer_gui_adapter.parameter_connectors import connector
from slicer_gui_adapter.parameter_fields import (
    Choice,
    Decimals,
    Default,
    Field,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
    field_from,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Maximum",
    "Minimum",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]

SlicerParameterNamePropertyName = "SlicerParameterName"


def parameterNodeWrapper(cls: type) -> type:
    """Turn a class with annotated attributes into a wrapper of a vtkMRMLScriptedModuleNode."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {name: field_from(name, hint, cls.__dict__.get(name, ...)) for name, hint in hints.items()}
    body = {name: _attribute(field) for name, field in fields.items()}
    kept = {k: v for k, v in cls.__dict__.items() if k not in fields and k not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (_Wrapper,), {**kept, **body, "_fields": fields})


def isParameterNodeWrapper(instanceOrClass) -> bool:
    found = instanceOrClass if isinstance(instanceOrClass, type) else type(instanceOrClass)
    return issubclass(found, _Wrapper)


def _attribute(field: Field) -> property:
    def get(self):
        return field.read(self.parameterNode)

    def put(self, value):
        field.write(self.parameterNode, value)

    return property(get, put)


class _Wrapper:
    _fields: typing.ClassVar[dict[str, Field]] = {}

    def __init__(self, parameterNode):
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_connections", {})
        for field in self._fields.values():
            if not field.is_in(parameterNode):
                field.write(parameterNode, field.default)

    def __setattr__(self, name, value):
        if name not in self._fields:
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        super().__setattr__(name, value)

    def default(self, name: str):
        return self._fields[name].default

    def isCached(self, _name: str) -> bool:
        return False

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was_modifying) -> None:
        self.parameterNode.EndModify(was_modifying)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag) -> None:
        self.parameterNode.RemoveObserver(tag)

    def HasObserver(self, event) -> bool:
        return bool(self.parameterNode.HasObserver(event))

    def connectGui(self, gui) -> int:
        """Tie each widget with a SlicerParameterName property to its parameter; the tag undoes it.

        Parameters
        ----------
        gui : namespace of widgets, as ``slicer.util.childWidgetVariables`` gives
        """
        pairs = [
            (self._field_of(widget), connector(self._field_of(widget), widget))
            for widget in vars(gui).values()
            if hasattr(widget, "property") and widget.property(SlicerParameterNamePropertyName)
        ]
        for field, one in pairs:
            one.on_change(lambda field=field, one=one: field.write(self.parameterNode, one.read()))

        def show(*_):
            for field, one in pairs:
                if one.read() != field.read(self.parameterNode):
                    one.write(field.read(self.parameterNode))

        show()
        tag = self.parameterNode.AddObserver(vtkCommand.ModifiedEvent, show)
        self._connections[tag] = [one for _, one in pairs]
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)
        for one in self._connections.pop(tag):
            one.stop()

    def _field_of(self, widget) -> Field:
        name = widget.property(SlicerParameterNamePropertyName)
        if name not in self._fields:
            raise ValueError(f"widget {widget.objectName()} names the parameter {name}, which does not exist")
        return self._fields[name]
