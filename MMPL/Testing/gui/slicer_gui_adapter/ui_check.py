"""Names in .ui files that Slicer does not have."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from slicer_gui_adapter.contract import class_contract, is_known_class, key_of

DYNAMIC = {"SlicerParameterName"}
LAYOUT_ONLY = {  # written by Qt Designer, turned into calls by the loader
    *("leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin"),
    *("spacing", "horizontalSpacing", "verticalSpacing", "sizeConstraint"),
}
LINE = "Line"  # Designer's name for a QFrame that is a line
ROOT_CLASS = "qMRMLWidget"


def problems(path: Path) -> list[str]:
    """One line for each class, property, signal or slot of a .ui file that Slicer lacks."""
    return [f"{path.name}: {problem}" for problem in problems_of(path.read_text(encoding="utf-8"))]


def problems_of(text: str) -> list[str]:
    tree = ElementTree.fromstring(text)
    root = tree.find("widget")
    found = [] if root.get("class") == ROOT_CLASS else [f"the root is a {root.get('class')}, not a {ROOT_CLASS}"]
    for element in [*tree.iter("widget"), *tree.iter("layout")]:
        found += _element_problems(element)
    classes = {element.get("name"): element.get("class") for element in tree.iter("widget")}
    for connection in tree.iter("connection"):
        found += _connection_problems(connection, classes)
    return found


def _element_problems(element) -> list[str]:
    class_name = element.get("class")
    names = {child.get("name") for child in element.findall("property")} - DYNAMIC
    if element.tag == "layout":
        names -= LAYOUT_ONLY
    if class_name == LINE:
        class_name, names = "QFrame", names - {"orientation"}
    if not is_known_class(class_name):
        return [f"Slicer has no class {class_name}"]
    contract = class_contract(key_of(class_name))
    if contract is None:
        return [f"the listing of Slicer does not describe {class_name}: take another class"]
    return [f"{class_name} has no property {name}" for name in sorted(names - contract.properties)]


def _connection_problems(connection, classes: dict[str, str]) -> list[str]:
    found = []
    for object_tag, member_tag in (("sender", "signal"), ("receiver", "slot")):
        name, member = connection.findtext(object_tag), connection.findtext(member_tag, "").split("(")[0]
        contract = class_contract(key_of(classes[name])) if name in classes else None
        if contract is None:
            found.append(f"a connection names {name}, which is not in the file")
        elif member not in (contract.signals if member_tag == "signal" else contract.methods):
            found.append(f"{contract.name} has no {member_tag} {member}")
    return found
