"""A drawing made fit to stand in the page: no style attributes (the page's policy forbids them), no ids, no links.

Colours become classes, so that the page's own colours apply, light, dark and on paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
DROPPED_TAGS = {"metadata", "style", "defs", "clipPath"}
KEPT_ATTRIBUTES = {"viewBox", "d", "x", "y", "transform"}
KEPT_STYLES = {"stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "font-size", "text-anchor"}

DECIMALS = re.compile(r"-?\d+\.\d+")


def inline(drawing: bytes, label: str, name: str, classes: Mapping[str, str], hints: Mapping[str, str]) -> str:
    """The drawing as an element for HTML. `classes` names each colour; `hints` are shown for groups with that id."""
    root = ET.fromstring(drawing)
    made = ET.Element("svg", {"class": name, "viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label})
    for child in root:
        _add(made, child, classes, hints)
    return ET.tostring(made, encoding="unicode", short_empty_elements=True)


def _add(parent: ET.Element, child: ET.Element, classes: Mapping[str, str], hints: Mapping[str, str]) -> None:
    tag = child.tag.removeprefix(SVG)
    if tag in DROPPED_TAGS:
        return
    hint = hints.get(child.attrib.get("id", ""))
    if tag == "g" and hint is None and "transform" not in child.attrib:  # a mere group
        for grandchild in child:
            _add(parent, grandchild, classes, hints)
        return
    made = ET.SubElement(parent, tag, _attributes(child, classes))
    if hint is not None:
        ET.SubElement(made, "title").text = hint
    made.text = made.text or (child.text if tag == "text" else None)
    for grandchild in child:
        _add(made, grandchild, classes, hints)
    if tag == "g" and not len(made):
        parent.remove(made)


def _attributes(child: ET.Element, classes: Mapping[str, str]) -> dict[str, str]:
    """What stands for the look is a class; what stands for the shape is an attribute."""
    kept = {name: _short(value) for name, value in child.attrib.items() if name in KEPT_ATTRIBUTES}
    if kept.get("transform", "").startswith("rotate(-0 "):
        del kept["transform"]
    styles = [part.partition(":") for part in child.attrib.get("style", "").split(";") if part.strip()]
    looks = {name.strip(): value.strip() for name, _, value in styles}
    named = [f"{name}-{classes[looks[name]]}" for name in ("fill", "stroke") if looks.get(name, "none") != "none"]
    if looks.get("fill") == "none":
        named.append("fill-none")
    if named:
        kept["class"] = " ".join(named)
    return kept | {name: value.removesuffix("px") for name, value in looks.items() if name in KEPT_STYLES}


def _short(shape: str) -> str:
    """Hundredths of a pixel are enough."""
    return " ".join(DECIMALS.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), shape).split())
