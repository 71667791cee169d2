"""The process that parses: `python -m ingest.parsers.child MEMORY_BYTES`.

It reads requests from standard input and writes replies to what was standard output, each a
length of eight bytes and JSON; it ends at the end of its input. A reply begins with `+` and a
parsed document, or with `-` and `{"code", "message"}`. Before it, a length of 0 stands for each
page that OCR begins to read, and moves the deadline.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from ingest.parsers import ocr
from ingest.parsers.limits import Forbidden, confine, set_alarm
from ingest.parsers.wire import pack
from rag.errors import CorruptDocument, DocumentError, EmptyDocument, ParserStopped
from rag.records import Parsed

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
    confine(int(sys.argv[1]))
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
        reply = b"+" + pack(_parse(request))
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
    replies.write(struct.pack(">Q", len(reply)))
    replies.write(reply)
    replies.flush()
    return exhausted


def _parse(request: dict[str, Any]) -> Parsed:
    name = request["name"]
    module, _, function = request["parser"].partition(":")
    parsed = getattr(importlib.import_module(module), function)(Path(request["path"]), name)
    if not isinstance(parsed, Parsed):
        raise TypeError("a parser returned no Parsed")
    size = sum(len(page.text) for page in parsed.pages)
    if size > request["characters"]:
        raise ParserStopped(
            f"“{name}” holds {size:,} characters of text, more than the {request['characters']:,} "
            "that ingest.max_chars allows. Split it, or ask the operator to raise the limit."
        )
    if not any(page.text.strip() for page in parsed.pages):
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
