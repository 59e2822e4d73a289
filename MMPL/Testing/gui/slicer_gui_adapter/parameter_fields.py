"""Typed fields of a parameter node: how a Python value is kept in a vtkMRMLScriptedModuleNode."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

import slicer


@dataclass(frozen=True)
class Default:
    value: Any


@dataclass(frozen=True)
class Minimum:
    minimum: float


@dataclass(frozen=True)
class Maximum:
    maximum: float


@dataclass(frozen=True)
class WithinRange:
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Choice:
    choices: list


@dataclass(frozen=True)
class Decimals:
    value: int


@dataclass(frozen=True)
class SingleStep:
    value: float


ZEROS = {str: "", bool: False, int: 0, float: 0.0, pathlib.Path: pathlib.Path()}


@dataclass(frozen=True)
class Field:
    """One parameter.

    Attributes
    ----------
    kind : str, bool, int, float, pathlib.Path or a MRML node class
    default : value of a new parameter node
    notes : the annotations of ``typing.Annotated``
    """

    name: str
    kind: type
    default: Any
    notes: tuple = ()

    @property
    def is_node(self) -> bool:
        return issubclass(self.kind, slicer.vtkMRMLNode)

    @property
    def choices(self) -> list | None:
        return next((note.choices for note in self.notes if isinstance(note, Choice)), None)

    def is_in(self, node) -> bool:
        return self.is_node or node.HasParameter(self.name) if hasattr(node, "HasParameter") else self._stored(node)

    def _stored(self, node) -> bool:
        return self.is_node or self.name in (node.GetParameterNames() or ())

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node, value) -> None:
        if self.is_node:
            self._check_node(value)
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        checked = self.checked(value)
        if not self.is_in(node) or checked != self.read(node):
            node.SetParameter(self.name, str(checked))

    def _check_node(self, value) -> None:
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"{self.name} takes {self.kind.__name__}, not {type(value).__name__}")

    def checked(self, value):
        """The value as it is stored.

        Raises
        ------
        TypeError, ValueError
            If the type or the range does not allow it.
        """
        if self.kind in (int, float):
            value = self.kind(value)
        elif self.kind is pathlib.Path and isinstance(value, str):
            value = pathlib.Path(value)
        if not isinstance(value, self.kind):
            raise TypeError(f"{self.name} takes {self.kind.__name__}, not {type(value).__name__}")
        for note in self.notes:
            low = getattr(note, "minimum", value)
            high = getattr(note, "maximum", value)
            if isinstance(note, Choice) and value not in note.choices:
                raise ValueError(f"{self.name} is one of {note.choices}, not {value!r}")
            if not isinstance(note, Choice) and not low <= value <= high:
                raise ValueError(f"{self.name} lies in {low} to {high}, not at {value}")
        return value


def field_from(name: str, hint, given) -> Field:
    """A field from a class attribute's annotation and value (``...`` for none).

    Raises
    ------
    TypeError
        If this substitute cannot store the type.
    """
    notes: tuple = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        notes = tuple(rest)
    if get_origin(hint) is Union or str(hint).endswith("| None"):
        hint = next(part for part in get_args(hint) if part is not type(None))
    is_node = isinstance(hint, type) and issubclass(hint, slicer.vtkMRMLNode)
    if not is_node and hint not in ZEROS:
        raise TypeError(f"parameter {name}: this substitute cannot store {hint}")
    default = next((note.value for note in notes if isinstance(note, Default)), given)
    if default is ...:
        choices = next((note.choices for note in notes if isinstance(note, Choice)), None)
        default = None if is_node else choices[0] if choices else ZEROS[hint]
    return Field(name, hint, default, notes)
