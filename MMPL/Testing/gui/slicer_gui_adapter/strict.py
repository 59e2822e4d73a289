"""Classes that refuse, at run time, what PythonQt and PySide6 do not share.

A strict class is a subclass of a Qt class. When widget code (anything but this adapter and installed packages) touches
an attribute, the name must be a method or a signal in the contract. So ``label.text()``, fine in PySide6 and a
TypeError in Slicer, fails here too. Qt itself looks up virtual methods through the same door; such look-ups do not come
from a load of that name in the running code, which is how they are told apart.
"""

from __future__ import annotations

import dis
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, ModuleType

from PySide6 import QtCore

from slicer_gui_adapter.contract import ClassContract, names

DIFFERENT = frozenset({"connect", "disconnect", "findChild", "findChildren"})
ASKED_BY_QT = frozenset({"sizeHint", "minimumSizeHint", "text"})  # virtual in C++, a property in PythonQt
_ADAPTER = str(Path(__file__).resolve().parent)
_OURS = str(Path(__file__).resolve().parents[3])  # wherever the repository lies, its MMPL folder is widget code
_INSTALLED = tuple(
    {sys.prefix, sys.base_prefix} | {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}
)


@cache
def is_widget_code(filename: str) -> bool:
    """True for code that must run in Slicer too; False for this adapter, the standard library and packages."""
    if filename.startswith(_ADAPTER):
        return False
    return filename.startswith(_OURS) or not filename.startswith((*_INSTALLED, "<frozen"))


def refusal(contract: ClassContract, name: str) -> str:
    """The sentence for a name that widget code may not use."""
    short = contract.name.split(".")[-1]
    if name in DIFFERENT:
        return (
            f"{short}.{name} differs between PythonQt and PySide6: use widget.signal.connect(function), "
            "slicer.util.findChild or slicer.util.childWidgetVariables"
        )
    if name in contract.properties:
        setter = f"set{name[0].upper()}{name[1:]}"
        change = f".{setter}(...)" if setter in contract.methods else f'.setProperty("{name}", ...)'
        return (
            f"{short}.{name} is a property, an attribute in PythonQt and a call in PySide6: "
            f'read it by .property("{name}"), change it by {change}'
        )
    return f"{short} has no {name} in Slicer's PythonQt"


def _touched(name: str, contract: ClassContract, frame: FrameType) -> bool:
    """True if widget code, not Qt, asked for the name."""
    if not is_widget_code(frame.f_code.co_filename):
        return False
    if _loaded(frame.f_code).get(frame.f_lasti) == name:
        return True
    return name in contract.properties and name not in ASKED_BY_QT


@cache
def _loaded(code: CodeType) -> dict[int, str]:
    """Offset of each instruction that loads by name -> the name. Garbage may be collected during any other load."""
    return {one.offset: one.argval for one in dis.get_instructions(code) if one.opname.startswith("LOAD")}


def _own(cls: type, name: str) -> bool:
    """True if a subclass written by widget code defines the name."""
    for klass in type.__getattribute__(cls, "__mro__"):
        own = type.__getattribute__(klass, "__dict__")
        if "_contract" in own:
            return False
        if name in own:
            return True
    return False


def _is_python_side(instance, name: str) -> bool:
    """True if widget code itself put the name there: in a subclass, or on an instance of one."""
    written_by_us = "_contract" not in type.__getattribute__(type(instance), "__dict__")
    return written_by_us and (name in object.__getattribute__(instance, "__dict__") or _own(type(instance), name))


class StrictType(type(QtCore.QObject)):
    """Metaclass: class attributes obey the contract, and ``isinstance`` follows Qt's own hierarchy."""

    def __getattribute__(cls, name):
        if not name.startswith("_"):
            contract = type.__getattribute__(cls, "_contract")
            if name not in contract.usable - DIFFERENT and name != "staticMetaObject":
                frame = sys._getframe(1)
                if _touched(name, contract, frame) and not _own(cls, name):
                    raise AttributeError(refusal(contract, name))
        return super().__getattribute__(name)

    def __instancecheck__(cls, instance):
        own = type.__getattribute__(cls, "__dict__")
        return isinstance(instance, own["_real"]) if "_real" in own else super().__instancecheck__(instance)

    def __subclasscheck__(cls, other):
        own = type.__getattribute__(cls, "__dict__")
        return issubclass(other, own["_real"]) if "_real" in own else super().__subclasscheck__(other)


def strict_class(real: type, contract: ClassContract, after_init=None) -> type:
    """A subclass of ``real`` that offers widget code what the contract lists.

    Parameters
    ----------
    real : Qt class or a substitute of this adapter
    contract : what Slicer offers
    after_init : function of the new object, for parts that Qt made itself
    """
    allowed = contract.usable - DIFFERENT

    def __init__(self, *args):
        real.__init__(self, *args)
        if after_init is not None:
            after_init(self)

    def __getattribute__(self, name):
        if name not in allowed and not name.startswith("__"):
            frame = sys._getframe(1)
            if _touched(name, contract, frame) and not _is_python_side(self, name):
                raise AttributeError(refusal(contract, name))
        try:
            return real.__getattribute__(self, name)
        except AttributeError as error:
            if name not in allowed:
                raise
            raise AttributeError(f"{contract.name}.{name} exists in Slicer, but not in PySide6 or not here") from error

    def __setattr__(self, name, value):
        if is_widget_code(sys._getframe(1).f_code.co_filename):
            if name in contract.properties:
                raise AttributeError(refusal(contract, name))
            if "_contract" in type.__getattribute__(type(self), "__dict__"):
                raise AttributeError(f"{contract.name}: PythonQt objects take no new attributes, here {name}")
        real.__setattr__(self, name, value)

    body = {
        "__init__": __init__,
        "__getattribute__": __getattribute__,
        "__setattr__": __setattr__,
        "__doc__": real.__doc__,
        "__module__": contract.name.split(".")[0],
        "_contract": contract,
        "_real": real,
    }
    return StrictType(contract.name.split(".")[-1], (real,), body)


class StrictModule(ModuleType):
    """A module whose names, seen from widget code, are those of the contract."""

    def __getattribute__(self, name):
        if not name.startswith("__") and is_widget_code(sys._getframe(1).f_code.co_filename):
            module = super().__getattribute__("__name__")
            if name not in names(module) and not _is_submodule(module, name):
                raise AttributeError(f"{module}.{name} does not exist in Slicer")
        return super().__getattribute__(name)


def _is_submodule(module: str, name: str) -> bool:
    return f"{module}.{name}" in sys.modules
