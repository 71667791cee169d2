"""Formulas of Word on one line, as people type them: `x = (-b ± √(b^2 - 4ac))/(2a)`."""

from __future__ import annotations

from typing import Any

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_W_TEXT = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t"
FORMULA = f"{_M}oMath"
_DEEPEST = 60
_PROPERTIES = "Pr"


def linear(element: Any, depth: int = 0) -> str:
    """An element of a formula as text; what is nested without end is cut."""
    if depth > _DEEPEST or not isinstance(element.tag, str):
        return ""
    name = element.tag.removeprefix(_M)
    if name == "t" or element.tag == _W_TEXT:
        return element.text or ""
    if name.endswith(_PROPERTIES):
        return ""

    def part(child: str) -> str:
        found = element.find(f"{_M}{child}")
        return linear(found, depth + 1) if found is not None else ""

    base = part("e")
    match name:
        case "f":
            return f"{_grouped(part('num'))}/{_grouped(part('den'))}"
        case "sSup":
            return f"{base}^{_grouped(part('sup'))}"
        case "sSub":
            return f"{base}_{_grouped(part('sub'))}"
        case "sSubSup":
            return f"{base}_{_grouped(part('sub'))}^{_grouped(part('sup'))}"
        case "rad":
            return f"{part('deg')}√{_grouped(base)}"
        case "nary":
            return f"{_operator(element)}{_bounds(part('sub'), part('sup'))} {base}"
        case "func":
            return f"{part('fName')} {base}"
        case "limLow" | "limUpp":
            return f"{base}_{_grouped(part('lim'))}"
        case "d":
            inner = [linear(e, depth + 1) for e in element.iterfind(f"{_M}e")]
            return _mark(element, "begChr", "(") + ", ".join(inner) + _mark(element, "endChr", ")")
        case "mr" | "eqArr":
            return "  ".join(linear(e, depth + 1) for e in element.iterfind(f"{_M}e"))
        case "m":
            return "; ".join(linear(row, depth + 1) for row in element.iterfind(f"{_M}mr"))
    return "".join(linear(child, depth + 1) for child in element)


def _grouped(text: str) -> str:
    """A part in parentheses, where it would not be seen as one without them."""
    text = text.strip()
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _bounds(lower: str, upper: str) -> str:
    below = f"_{_grouped(lower)}" if lower.strip() else ""
    return below + (f"^{_grouped(upper)}" if upper.strip() else "")


def _operator(element: Any) -> str:
    found = element.find(f"{_M}naryPr/{_M}chr")
    return str(found.get(f"{_M}val", "∫")) if found is not None else "∫"


def _mark(element: Any, name: str, usual: str) -> str:
    found = element.find(f"{_M}dPr/{_M}{name}")
    return str(found.get(f"{_M}val", usual)) if found is not None else usual
