"""Writes compound files and Outlook messages, just enough of them for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

Tree = Mapping[str, "bytes | Tree"]

_SECTOR, _SMALL = 512, 64
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_UNICODE, _BINARY, _NUMBER, _TIME, _OBJECT = 0x1F, 0x102, 0x03, 0x40, 0x0D


def write_ole(path: Path, tree: Tree) -> Path:
    """A compound file of storages (mappings) and streams, all of the small kind."""
    entries: list[list[object]] = [["Root Entry", _ROOT, _FREE, _FREE, _END, 0]]
    small = bytearray()
    chain: list[int] = []
    _place(tree, 0, entries, small, chain)
    entries[0][5] = len(small)
    directory = _pad(b"".join(_entry(*entry) for entry in entries), _SECTOR)  # type: ignore[arg-type]
    minifat = _pad(struct.pack(f"<{len(chain)}I", *chain), _SECTOR, b"\xff")
    stream = _pad(bytes(small), _SECTOR)
    parts = [directory, minifat, stream]
    lengths = [len(part) // _SECTOR for part in parts]
    # the table of sectors is the first of them
    table, at, starts = [_FAT], 1, []
    for length in lengths:
        starts.append(at if length else _END)
        table += [*range(at + 1, at + length), _END] if length else []
        at += length
    assert len(table) <= _SECTOR // 4
    table += [_FREE] * (_SECTOR // 4 - len(table))
    entries[0][4] = starts[2]
    parts[0] = _pad(b"".join(_entry(*entry) for entry in entries), _SECTOR)  # type: ignore[arg-type]
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        bytes(16),
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(0, 1, starts[0], 0, 4096, starts[1], lengths[1], _END, 0, 0),
    )
    header += struct.pack("<108I", *[_FREE] * 108)
    path.write_bytes(header + struct.pack("<128I", *table) + b"".join(parts))
    return path


def _place(
    tree: Tree, parent: int, entries: list[list[object]], small: bytearray, chain: list[int]
) -> None:
    before = 0
    for name, content in tree.items():
        position = len(entries)
        if isinstance(content, bytes):
            start = len(small) // _SMALL if content else _END
            entries.append([name, _STREAM, _FREE, _FREE, start, len(content)])
            padded = _pad(content, _SMALL)
            count = len(padded) // _SMALL
            chain += [*range(start + 1, start + count), _END] if count else []
            small += padded
        else:
            entries.append([name, _STORAGE, _FREE, _FREE, 0, 0])
            _place(content, position, entries, small, chain)
        # siblings stand in a row, each to the right of the one before
        entries[before or parent][2 if before else 3] = position
        before = position


def _entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ",
        *(encoded, len(encoded) + 2, kind, 1, _FREE, right, child, bytes(16)),
        *(0, 0, 0, start, size),
    )


def _pad(data: bytes, size: int, filler: bytes = b"\0") -> bytes:
    return data + filler * (-len(data) % size)


def write_msg(
    path: Path,
    properties: Mapping[int, str | bytes | int],
    receivers: tuple[Mapping[int, str | int], ...] = (),
    attachments: tuple[Mapping[int, str | bytes | Tree], ...] = (),
) -> Path:
    """A message of properties by number; an integer above 32 bits is a time."""
    return write_ole(path, message(properties, receivers, attachments))


def message(
    properties: Mapping[int, str | bytes | int],
    receivers: tuple[Mapping[int, str | int], ...] = (),
    attachments: tuple[Mapping[int, str | bytes | Tree], ...] = (),
    header: int = 32,
) -> Tree:
    """The storage of a message; one within another has a `header` of 24 bytes."""
    tree: dict[str, bytes | Tree] = dict(_properties(properties, header))
    for kind, parts in (("recip", receivers), ("attach", attachments)):
        for number, part in enumerate(parts):
            tree[f"__{kind}_version1.0_#{number:08X}"] = _properties(part, 8)
    return tree


def _properties(values: Mapping[int, str | bytes | int | Tree], header: int) -> Tree:
    streams: dict[str, bytes | Tree] = {}
    table = bytearray(header)
    for number, value in values.items():
        if isinstance(value, Mapping):
            streams[f"__substg1.0_{number:04X}{_OBJECT:04X}"] = value
            kind, payload = _OBJECT, bytes(8)
        elif isinstance(value, int):
            kind, payload = (_NUMBER if value < 1 << 32 else _TIME), struct.pack("<Q", value)
        else:
            kind = _UNICODE if isinstance(value, str) else _BINARY
            data = value.encode("utf-16-le") if isinstance(value, str) else value
            streams[f"__substg1.0_{number:04X}{kind:04X}"] = data
            payload = struct.pack("<II", len(data), 0)
        table += struct.pack("<HHI8s", kind, number, 6, payload)
    return {"__properties_version1.0": bytes(table), **streams}
