"""What a chunk is told about where it stands: title, headings, sheet, a table's header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.tokens import Offsets

LONGEST = 48
_MARKS = re.compile(r"^[#\s]+|[#\s]+$")
_UNDERLINE = re.compile(r"\n\s*(?:=+|-+)\s*$")


@dataclass(frozen=True, slots=True)
class Section:
    """Where on the path of headings we are; `label` is the slide's or sheet's."""

    title: str = ""
    label: str = ""
    path: tuple[tuple[int, str], ...] = ()

    def above(self, level: int) -> Section:
        """The section that a heading of this level stands in."""
        kept = tuple(entry for entry in self.path if entry[0] < level)
        return Section(self.title, self.label, kept)

    def below(self, level: int, heading: str) -> Section:
        """The section that a heading opens; `heading` is its source text."""
        name = " ".join(_MARKS.sub("", _UNDERLINE.sub("", heading)).split())
        return Section(self.title, self.label, (*self.above(level).path, (level, name)))


def chunk_context(
    offsets: Offsets, section: Section, text: str, headers: Sequence[str], most: int
) -> str:
    """The context of a chunk, in at most `most` tokens and never more than LONGEST.

    A table's header comes last, on a line of its own, and has half the room or more.
    """
    most = min(most, LONGEST)
    place = " > ".join(_places(section, text))
    header = next((h for h in headers if h not in text), "")
    if not header:
        return cut(offsets, place, most)
    taken = len(offsets(header))
    place = cut(offsets, place, max(most // 2, most - taken - 1))
    rest = most - (len(offsets(place)) + 1 if place else 0)
    header = cut(offsets, header, rest)
    return f"{place}\n{header}" if place and header else place or header


def _places(section: Section, text: str) -> list[str]:
    """Title, label and headings, each once, without the heading that the text begins with."""
    names: list[str] = []
    first = " ".join(text[:200].split("\n")[0].strip("# ").split()).casefold()
    seen = {first}
    for name in (section.title, section.label, *(heading for _, heading in section.path)):
        folded = name.casefold()
        if name and folded not in seen:
            seen.add(folded)
            names.append(name)
    return names


def cut(offsets: Offsets, text: str, most: int) -> str:
    """The beginning of a text, in at most `most` tokens, ending with a whole word if it can."""
    spans = offsets(text)
    if len(spans) <= most:
        return text
    if most <= 0:
        return ""
    end = spans[most][0]
    if end < len(text) and not text[end - 1 : end].isspace() and not text[end].isspace():
        space = text.rfind(" ", 0, end)
        end = space if space > 0 else end
    return text[:end].rstrip(" >|,;")
