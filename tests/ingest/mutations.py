"""Damages valid files in the ways in which files get damaged, and in which attackers do it."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Callable

_LONGEST_BLOCK = 64
_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")
_WORDS = (
    *(b"99999999999", b"-1", b"1e999", b"NaN", b"<", b">", b"&", b"&#0;", b"&#xD800;", b"]]>"),
    *(b"\xed\xa0\x80", b"\xc0\x80", b"\xfe\xff", b"%s%n", b"\\", b"{", b"}", b"\n", b'"', b"'"),
)

Change = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _drop(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, _LONGEST_BLOCK)]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    part = data[start : start + rng.randint(1, _LONGEST_BLOCK)]
    data[start:start] = part * rng.choice((1, 2, 50))


def _swap(data: bytearray, rng: random.Random) -> None:
    size = min(rng.randint(1, _LONGEST_BLOCK), len(data) // 2)
    if size:
        a, b = sorted((rng.randrange(len(data) - size), rng.randrange(len(data) - size)))
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def _number(data: bytearray, rng: random.Random) -> None:
    start, value = rng.randrange(len(data)), rng.choice(_NUMBERS)
    data[start : start + len(value)] = value


def _word(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.choice(_WORDS)


_CHANGES: tuple[Change, ...] = (_flip, _cut, _drop, _repeat, _swap, _number, _word)


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The file damaged; `other` is another valid file, of which a part may be put into it.

    Half of the changes of a zip are made within a member, which is packed again.
    """
    if data.startswith(b"PK") and rng.random() < 0.6:
        return _mutate_members(data, other, rng)
    return _changed(data, other, rng)


def _changed(data: bytes, other: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    if other and rng.random() < 0.1:
        cut, start = rng.randrange(len(data) + 1), rng.randrange(len(other))
        return bytes(changed[:cut]) + other[start:]
    for _ in range(rng.choice((1, 1, 1, 3))):
        if changed:
            rng.choice(_CHANGES)(changed, rng)
    return bytes(changed)


def _mutate_members(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A zip with a member changed, lost, doubled or under another's name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    chosen = rng.randrange(len(members))
    name, content = members[chosen]
    match rng.randrange(8):
        case 0:
            del members[chosen]
        case 1:
            members.append((name, _changed(content or b"x", other, rng)))
        case 2:
            members[chosen] = (rng.choice(members)[0], content)
        case _:
            members[chosen] = (name, _changed(content or b"x", other, rng))
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for member, content in members:
            archive.writestr(member, content)
    return packed.getvalue()
