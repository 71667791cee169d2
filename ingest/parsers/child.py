"""The process that parses: `python -m ingest.parsers.child MEMORY_BYTES`.

It reads requests from standard input and writes replies to what was standard output, each with a
length of eight bytes; it ends at the end of its input. `n` comes first where the system leaves it
the network. A reply begins with `+` and a parsed document, or with `-` and `{"code", "message"}`.
Before it, a length of 0 stands for each page that OCR begins to read, and moves the deadline. So
does each file within the file, where those are asked for: `m` and `{"name"}`, then any number of
`d` and bytes, then `e` and nothing, or the error that it has.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ingest.formats import suffix_kind
from ingest.parsers import ocr
from ingest.parsers.limits import Forbidden, confine, set_alarm
from ingest.parsers.packed import Packed, UnpackLimits
from ingest.parsers.wire import pack
from rag.errors import CorruptDocument, DocumentError, EmptyDocument, ParserStopped
from rag.parsed import Parsed

# the parent stops us at its deadline; this much later we stop without it
_GRACE_SECONDS = 5.0
_DEEPEST_FRAMES = 3


def main() -> None:
    """Serve requests until the input ends. Ends at once when memory ran out."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    # what a library prints must not mix with the replies
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if not confine(int(sys.argv[1])):
        _write(replies, b"n")
    while (size := requests.read(8)) and len(size) == 8:
        request = json.loads(requests.read(struct.unpack(">Q", size)[0]))
        set_alarm(request["seconds"] + _GRACE_SECONDS)
        ocr.allow(request["ocr_pages"], functools.partial(_begin_page, request, replies))
        exhausted = _serve(request, replies)
        set_alarm(0)
        ocr.release()
        if exhausted:
            return


def _begin_page(request: dict[str, Any], replies: BinaryIO) -> None:
    """Tell the parent that a page will be read by OCR, and take the time that it gives for it."""
    replies.write(struct.pack(">Q", 0))
    replies.flush()
    set_alarm(request["seconds"] + _GRACE_SECONDS)


def _serve(request: dict[str, Any], replies: BinaryIO) -> bool:
    """Answer one request; true when this process should not serve another."""
    name = request["name"]
    exhausted = False
    try:
        count = _send_members(request, replies) if request.get("unpacker") else 0
        reply = b"+" + pack(_parse(request, count))
    except DocumentError as error:
        reply = _failure(error)
    except MemoryError:
        exhausted = True
        reply = _failure(_out_of_memory(name))
    except Forbidden as error:
        exhausted = True
        reply = _failure(
            ParserStopped(
                f"Reading “{name}” was stopped: its parser tried to {error}, which none may. "
                "Do not trust this file."
            )
        )
    except RecursionError:
        reply = _failure(
            CorruptDocument(
                f"“{name}” is nested too deeply to be read. Save it again from the program that "
                "wrote it."
            )
        )
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a hostile file makes a library raise
        reply = _failure(
            CorruptDocument(
                f"“{name}” could not be read and may be damaged ({type(error).__name__}). Open it "
                "in the program that wrote it and save it again."
            ),
            _where(error),
        )
    _write(replies, reply)
    return exhausted


def _write(replies: BinaryIO, reply: bytes) -> None:
    replies.write(struct.pack(">Q", len(reply)))
    replies.write(reply)
    replies.flush()


def _send_members(request: dict[str, Any], replies: BinaryIO) -> int:
    """Send the files within the file; returns how many there were."""
    unpack, limits = _function(request["unpacker"]), UnpackLimits(**request["limits"])
    count = 0
    for packed in unpack(Path(request["path"]), request["name"], limits):
        count += 1
        set_alarm(request["seconds"] + _GRACE_SECONDS)
        _write(replies, b"m" + json.dumps({"name": packed.name}).encode("ascii"))
        _write(replies, b"e" + _send_bytes(packed, replies))
    return count


def _send_bytes(packed: Packed, replies: BinaryIO) -> bytes:
    """Send a file's bytes; returns the error that it has, or nothing."""
    try:
        if packed.error:
            raise packed.error
        suffix_kind(packed.name)
        for block in packed.blocks():
            _write(replies, b"d" + block)
    except DocumentError as error:
        return _failure(error)[1:]
    except (Forbidden, MemoryError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a hostile file makes a library raise
        return _failure(
            CorruptDocument(
                f"“{packed.name}” could not be taken out and may be damaged "
                f"({type(error).__name__}). Pack it again."
            ),
            _where(error),
        )[1:]
    return b""


def _function(place: str) -> Callable[..., Any]:
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _parse(request: dict[str, Any], members: int) -> Parsed:
    name = request["name"]
    if not request["parser"]:
        if not members:
            raise EmptyDocument(f"“{name}” holds no files. Add it again once it has some.")
        return Parsed(())
    parsed = _function(request["parser"])(Path(request["path"]), name)
    if not isinstance(parsed, Parsed):
        raise TypeError("a parser returned no Parsed")
    size = sum(len(page.text) for page in parsed.pages)
    if size > request["characters"]:
        raise ParserStopped(
            f"“{name}” holds {size:,} characters of text, more than the {request['characters']:,} "
            "that ingest.max_chars allows. Split it, or ask the operator to raise the limit."
        )
    if not members and not any(page.text.strip() for page in parsed.pages):
        raise EmptyDocument(f"“{name}” holds no text. Add it again once it has some.")
    return parsed


def _out_of_memory(name: str) -> ParserStopped:
    return ParserStopped(
        f"Reading “{name}” took more than {int(sys.argv[1]) >> 20:,} MiB of memory, the limit set "
        "by ingest.parse_memory_mb. Split it, or ask the operator to raise the limit."
    )


def _failure(error: DocumentError, where: str = "") -> bytes:
    values = {"code": error.code, "message": str(error), "where": where}
    return b"-" + json.dumps(values).encode("ascii")


def _where(error: Exception) -> str:
    """Where an error came from, without the document's text that its message may hold."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST_FRAMES:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


if __name__ == "__main__":
    main()
