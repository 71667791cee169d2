"""What a parser made of a file: its pages with their blocks and places, and the files in it.

Offsets count Unicode code points into a page's text; `end` is exclusive, so that
`page.text[start:end]` is the text meant. Boxes are `(x0, y0, x1, y1)` as fractions of the
page, origin top left.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar, get_args, overload

Box = tuple[float, float, float, float]
BlockKind = Literal["heading", "paragraph", "list", "row", "code"]
BLOCK_KINDS: tuple[BlockKind, ...] = get_args(BlockKind)
# of `Parsed.dated`
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a page that belongs together: `page.text[start:end]`.

    `level` is 1 to 6 for a heading, else 0. `context` is text that helps to understand the
    block but stands elsewhere, such as a table's header row; it is outside the span.
    """

    start: int
    end: int
    kind: BlockKind = "paragraph"
    level: int = 0
    context: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where `page.text[start:end]` (a word) stands on the page as it looks."""

    start: int
    end: int
    box: Box


class Packed(Sequence[_Item]):
    """Blocks or places as numbers, so many for each: objects of their own take 500 bytes.

    A long document has millions of them, in the process that also holds the LLM.
    """

    __slots__ = ("numbers",)
    WIDTH: ClassVar[int]

    def __init__(self, numbers: array[int]) -> None:
        self.numbers = numbers

    def _made(self, numbers: Sequence[int]) -> _Item:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.numbers) // self.WIDTH

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_Item, ...]: ...
    def __getitem__(self, index: int | slice) -> _Item | tuple[_Item, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        at = self.WIDTH * range(len(self))[index]
        return self._made(self.numbers[at : at + self.WIDTH])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


class Places(Packed[Place]):
    """Places as start, end, and the box in `SCALE`ths of the page."""

    __slots__ = ()
    WIDTH = 6
    SCALE = 100_000

    def _made(self, numbers: Sequence[int]) -> Place:
        start, end, x0, y0, x1, y1 = numbers
        scale = self.SCALE
        return Place(start, end, (x0 / scale, y0 / scale, x1 / scale, y1 / scale))


class Blocks(Packed[Block]):
    """Blocks as start, end, kind in BLOCK_KINDS, level, and context in `contexts`."""

    __slots__ = ("contexts",)
    WIDTH = 5

    def __init__(self, numbers: array[int], contexts: Sequence[str]) -> None:
        super().__init__(numbers)
        self.contexts = contexts

    def _made(self, numbers: Sequence[int]) -> Block:
        start, end, kind, level, context = numbers
        return Block(start, end, BLOCK_KINDS[kind], level, self.contexts[context])


@dataclass(frozen=True, slots=True)
class Page:
    """A page, slide or sheet; a format without pages has one, number 1.

    `width` and `height` are in points, 0 where the format has no layout. Blocks are in
    order and do not overlap; between them is white space or furniture, such as running headers.
    """

    number: int
    text: str
    blocks: Sequence[Block] = ()
    places: Sequence[Place] = ()
    label: str = ""
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a file: an archive's, or a mail's attachment. `name` is its path in there.

    `bytes_hash` is empty where it was not taken; then `error_code` and `error` say why.
    """

    name: str
    kind: str = ""
    bytes_hash: str = ""
    size: int = 0
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of a file's bytes. `title` is from inside the file, or empty.

    `language` is a tag (BCP 47), noted after parsing; None where it is not clear. `unread` are the
    numbers of the pages whose text could not be read: damaged ones, and scans where OCR is off.
    `dated` is the moment (ISO 8601 in UTC, to the second, with a Z) that the file itself says it is
    of, as a mail does, or empty.
    """

    pages: tuple[Page, ...]
    title: str = ""
    members: tuple[Member, ...] = ()
    language: str | None = None
    unread: tuple[int, ...] = ()
    dated: str = ""
