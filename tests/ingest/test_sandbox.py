"""The sandbox survives whatever a parser does, and says what it was."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import KINDS, Kind
from ingest.parsers.wire import pack, unpack
from ingest.sandbox import Sandbox, _tell_of_network
from rag.errors import (
    CorruptDocument,
    DocumentError,
    EmptyDocument,
    ParserStopped,
    ProtectedDocument,
)
from rag.parsed import Block, Page, Parsed, Place

ROOT = Path(__file__).resolve().parents[2]
Parse = Callable[..., Parsed]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.file"
    path.write_text("some words")
    return path


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Registers a function of `hostile` as a kind and returns the kind's name."""
    # the tests' own block of the network would speak before the sandbox's
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "no_network" not in path])

    def register(function: str) -> str:
        monkeypatch.setitem(
            KINDS, function, Kind((f".{function}",), f"tests.ingest.hostile:{function}")
        )
        return function

    return register


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seconds=20, memory_mb=1024) as made:
        yield made


def test_a_document_comes_back_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("# Leave\n\nFive days — “carried over” 🙂.\n")
    parsed = sandbox.parse(path, "notes.md", "markdown")
    assert parsed.title == "Leave"
    assert parsed.pages[0].text == "# Leave\n\nFive days — “carried over” 🙂.\n"
    assert [block.kind for block in parsed.pages[0].blocks] == ["heading", "paragraph"]


def test_where_no_process_may_leave_the_network_the_log_says_so_once(
    sandbox: Sandbox,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _tell_of_network.cache_clear()
    hook = "import ctypes\nctypes.CDLL = lambda *_: type('C', (), {'unshare': lambda *_: -1})()\n"
    (tmp_path / "sitecustomize.py").write_text(hook)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for _ in range(2):
        assert sandbox.parse(file, "a.txt", "text").pages[0].text == "some words"
        sandbox.close()
        sandbox = Sandbox(seconds=20, memory_mb=1024)
    sandbox.close()
    _tell_of_network.cache_clear()
    assert [record.message[:40] for record in caplog.records] == [
        "the system lets no process leave the net"
    ]


def test_a_child_serves_many_files(
    sandbox: Sandbox, file: Path, behave: Callable[[str], str]
) -> None:
    pids = {sandbox.parse(file, "a", behave("well")).pages[0].text.split()[0] for _ in range(5)}
    assert len(pids) == 1


def test_a_child_is_replaced_after_its_share(
    sandbox: Sandbox, file: Path, behave: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sandbox._FILES_PER_CHILD", 2)
    texts = [sandbox.parse(file, "a", behave("well")).pages[0].text for _ in range(4)]
    assert texts[0] == texts[1] != texts[2] == texts[3]


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        ("abort", ParserStopped, "SIGABRT"),
        ("leave", ParserStopped, "crashed"),
        ("protected", ProtectedDocument, "locked"),
        ("bug", CorruptDocument, "KeyError"),
        ("recurse", CorruptDocument, "nested too deeply"),
        ("connect", ParserStopped, "socket"),
        ("look_up", ParserStopped, "socket"),
        ("start_program", ParserStopped, "subprocess"),
        ("system", ParserStopped, r"os\.system"),
        ("write", ParserStopped, "write a file"),
        ("remove", ParserStopped, r"os\.remove"),
        ("blank", EmptyDocument, "no text"),
        ("lies", ParserStopped, "makes no sense"),
        ("nothing", CorruptDocument, "TypeError"),
    ],
)
def test_bad_behaviour_is_an_error_and_the_next_file_is_read(
    sandbox: Sandbox,
    file: Path,
    behave: Callable[[str], str],
    function: str,
    error: type[DocumentError],
    words: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        if function == "connect":
            file.write_text(str(server.getsockname()[1]))
        with pytest.raises(error, match=words) as raised:
            sandbox.parse(file, "a.file", behave(function))
        with pytest.raises(TimeoutError):
            server.accept()
    assert "secret" not in str(raised.value)
    assert file.exists()
    assert not file.with_suffix(".written").exists()
    file.write_text("next words")
    assert sandbox.parse(file, "b", behave("well")).pages[0].text.endswith("next words")


def test_what_a_library_prints_is_no_reply(
    sandbox: Sandbox, file: Path, behave: Callable[[str], str]
) -> None:
    assert sandbox.parse(file, "a", behave("chatter")).title == "Well"


@pytest.mark.parametrize("function", ["hang", "spin"])
def test_a_parser_that_takes_too_long_is_stopped(
    file: Path, behave: Callable[[str], str], function: str
) -> None:
    with Sandbox(seconds=1) as sandbox:
        begun = time.monotonic()
        with pytest.raises(ParserStopped, match="longer than 1 seconds"):
            sandbox.parse(file, "a.file", behave(function))
        assert time.monotonic() - begun < 4
        assert not sandbox._children


def test_each_page_read_by_ocr_has_time_of_its_own(
    file: Path, behave: Callable[[str], str]
) -> None:
    with Sandbox(seconds=1.5) as sandbox:
        assert sandbox.parse(file, "a.file", behave("three_pages")).title == "Well"
        with pytest.raises(ParserStopped, match=r"number 1 in “a.file” took longer than 1\.5"):
            sandbox.parse(file, "a.file", behave("hang_on_a_page"))


def test_more_pages_of_ocr_than_allowed(file: Path, behave: Callable[[str], str]) -> None:
    with (
        Sandbox(ocr_pages=2) as sandbox,
        pytest.raises(ParserStopped, match="more pages by OCR than allowed"),
    ):
        sandbox.parse(file, "a.file", behave("three_pages"))


def test_a_parser_that_takes_too_much_memory_is_stopped(
    file: Path, behave: Callable[[str], str]
) -> None:
    with (
        Sandbox(seconds=20, memory_mb=400) as sandbox,
        pytest.raises(ParserStopped, match="400 MiB"),
    ):
        sandbox.parse(file, "a.file", behave("eat"))


def test_too_much_text_is_refused(file: Path, behave: Callable[[str], str]) -> None:
    with (
        Sandbox(max_text_chars=5) as sandbox,
        pytest.raises(ParserStopped, match=r"ingest\.max_chars"),
    ):
        sandbox.parse(file, "a.file", behave("well"))


def test_a_child_sees_nothing_of_its_parent(
    sandbox: Sandbox, file: Path, behave: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    text = sandbox.parse(file, "a", behave("environment")).pages[0].text
    names, modules = text.split(" modules: ")
    assert "SECRET_TOKEN" not in names
    heavy = {"torch", "chromadb", "transformers", "pypdfium2", "docx", "bs4", "llama_index"}
    assert not heavy & {module.split(".")[0] for module in modules.split()}


def test_threads_share_a_pool(file: Path, behave: Callable[[str], str]) -> None:
    kind = behave("well")
    with Sandbox(processes=2) as sandbox, ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: sandbox.parse(file, "a", kind).pages[0].text, range(30)))
    assert len(found) == 30
    assert 1 <= len({text.split()[0] for text in found}) <= 2


def test_closing_stops_what_is_under_way(file: Path, behave: Callable[[str], str]) -> None:
    sandbox = Sandbox(seconds=60)
    kind = behave("hang")
    errors: list[DocumentError] = []

    def work() -> None:
        try:
            sandbox.parse(file, "a", kind)
        except DocumentError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(100):
        if sandbox._children:
            break
        time.sleep(0.05)
    sandbox.close()
    thread.join(10)
    assert [type(error) for error in errors] == [ParserStopped]
    with pytest.raises(ParserStopped, match="stopping"):
        sandbox.parse(file, "a", kind)


def test_a_child_outlives_the_thread_that_began_it(
    sandbox: Sandbox, file: Path, behave: Callable[[str], str]
) -> None:
    kind, texts = behave("well"), []
    for _ in range(2):
        thread = threading.Thread(
            target=lambda: texts.append(sandbox.parse(file, "a", kind).pages[0].text)
        )
        thread.start()
        thread.join()
    assert texts[0] == texts[1]


def test_children_end_with_their_parent(file: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from ingest.sandbox import Sandbox\n"
        "sandbox = Sandbox()\n"
        f"sandbox.parse(pathlib.Path({str(file)!r}), 'a', 'text')\n"
        "print(next(iter(sandbox._children))._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    until = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_reply_over_the_limit_is_refused_with_the_limit(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sandbox._LARGEST_REPLY", 1 << 20)
    path = tmp_path / "a.txt"
    path.write_text("words " * 500_000)
    with pytest.raises(ParserStopped, match=r"takes 2 MiB, more than the 1 MiB that one file may"):
        sandbox.parse(path, "a.txt", "text")


def test_the_wire_keeps_everything() -> None:
    block = Block(0, 4, "row", 0, "Head | 🙂")
    place = Place(0, 4, (0.1, 0.2, 0.30001, 1.0))
    page = Page(3, "text\u2028x", (block,), (place,), "Label", 595.3, 842.0)
    parsed = Parsed((page, Page(4, "")), "Title", unread=(4,), dated="2024-02-29T23:59:59Z")
    assert unpack(pack(parsed)) == parsed


_HEAD = {"title": "", "unread": [], "dated": ""}


def _numbers(*numbers: int) -> str:
    return b64encode(array("I", numbers)).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"text": 1},
        {"text": "\ud800"},
        {"number": "1"},
        {"size": [1]},
        {"contexts": ["\ud800"]},
        {"contexts": [[]]},
        {"blocks": [0, 2, 0, 0, 0]},
        {"blocks": _numbers(0, 2, 0, 0)},
        {"blocks": _numbers(1, 9, 0, 0, 0)},
        {"blocks": _numbers(0, 2, 5, 0, 0)},
        {"blocks": _numbers(0, 2, 0, 7, 0)},
        {"blocks": _numbers(0, 2, 0, 0, 1)},
        {"places": [0, 1, 0, 0, 1, 1]},
        {"places": "!"},
        {"places": "AAAA"},
        {"places": _numbers(0, 1, 0, 0, 1)},
        {"places": _numbers(0, 3, 0, 0, 1, 1)},
        {"places": _numbers(1, 1, 0, 0, 1, 1)},
        {"places": _numbers(0, 1, 0, 0, 9_000_000, 0)},
        {"places": _numbers(0, 1, 2, 0, 1, 1)},
        {"places": _numbers(0, 2, 0, 0, 1, 1, 1, 2, 0, 0, 1, 1)},
    ],
)
def test_the_wire_refuses_pages_that_make_no_sense(change: dict[str, Any]) -> None:
    page = {"number": 1, "text": "ab", "label": "", "size": [0, 0], "contexts": [""]}
    page |= {"blocks": _numbers(0, 2, 0, 0, 0), "places": _numbers(0, 2, 0, 0, 1, 1)}
    lines = [json.dumps(line).encode() for line in (_HEAD, page, page | change)]
    assert len(unpack(b"\n".join(lines[:2])).pages) == 1
    with pytest.raises(ValueError, match=r"."):
        unpack(b"\n".join(lines))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"title":"","unread":[],"dated":""}\n',
        b'{"title":1,"unread":[],"dated":""}',
        b'{"title":"","unread":["1"],"dated":""}',
        b'{"title":"","unread":1,"dated":""}',
        b'{"title":"","unread":[1],"dated":""}',
        b'{"title":"","unread":[]}',
        b'{"title":"","unread":[],"dated":1}',
        b'{"title":"","unread":[],"dated":"2023-02-29T00:00:00Z"}',
        b'{"title":"","unread":[],"dated":"2024-02-29"}',
    ],
)
def test_the_wire_refuses_what_makes_no_sense(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(data)


def test_what_was_parsed_takes_little_memory() -> None:
    places = [Place(5 * n, 5 * n + 4, (0.1, 0.2, 0.3, 0.4)) for n in range(20_000)]
    blocks = [Block(5 * n, 5 * n + 4, "row", 0, "Name | Price") for n in range(20_000)]
    data = pack(Parsed((Page(1, "word " * 20_000, tuple(blocks), tuple(places)),)))
    tracemalloc.start()
    parsed = unpack(data)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parsed.pages[0].places == places
    assert parsed.pages[0].blocks == blocks
    assert kept < 1.2 * len(data)
    assert peak < 3 * len(data)


def test_places_are_a_sequence() -> None:
    words = [Place(0, 1, (0.0, 0.1, 0.2, 0.3)), Place(2, 4, (0.5, 0.5, 1.0, 1.0))]
    places = unpack(pack(Parsed((Page(1, "a bc", (), tuple(words)),)))).pages[0].places
    assert [places[0], places[-1]] == words
    assert places[1:] == (words[1],)
    assert hash(places) == hash(tuple(words))
    assert places != words[:1]
    with pytest.raises(IndexError):
        places[2]


def test_a_child_that_finishes_while_the_sandbox_closes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(processes=1)
    path = tmp_path / "a.txt"
    path.write_text("Some words.")
    read = sandbox._read
    children: list[Any] = []

    def closing(reply: bytes, name: str) -> Any:
        children.extend(sandbox._children)
        sandbox.close()
        return read(reply, name)

    monkeypatch.setattr(sandbox, "_read", closing)
    assert sandbox.parse(path, "a.txt", "text").pages[0].text == "Some words."
    assert [child._process.returncode is not None for child in children] == [True]
