"""Nothing that a document or a file's name holds acts on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.catalog.documents import Upload, add_upload
from rag.cli import main
from rag.errors import NotFound
from rag.library import open_catalog
from rag.printing import json_line, printable
from rag.records import Question
from rag.settings import Settings

EVIL = "a\x1b[31mb\x9b2Jc\nfailed: d\x07\u202egnp.txt"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Überstunden – 5 %, “so” 日本 🌿", "Überstunden – 5 %, “so” 日本 🌿"),
        ("می\u200cخواهم 👩\u200d🔬 Ar\u00adbeit", "می\u200cخواهم 👩\u200d🔬 Ar\u00adbeit"),
        ("a\x1b[31mb\x00\x7f\x9b", "a�[31mb���"),
        ("one\ntwo\r\tthree", "one�two��three"),
        ("\u202ertl\u2066 \ue000 \ufeff", "�rtl� � �"),
        ("file\udcff.txt", "file�.txt"),
    ],
)
def test_only_what_acts_is_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", [EVIL, "\udcff", "ünï 🌿", "\U000e0001", '"\\'])
def test_json_keeps_what_it_escapes(text: str) -> None:
    line = json_line({"source": text})
    assert printable(line) == line
    assert json.loads(line) == {"source": text}
    assert json_line("ünï 🌿") == '"ünï 🌿"'


def acts(output: str) -> bool:
    return any(printable(line) != line for line in output.split("\n"))


def shown(*arguments: str) -> str:
    """What a command writes, with what click would leave out where there is no terminal."""
    result = CliRunner().invoke(main, [*arguments], color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_names_of_files_do_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    catalog = open_catalog(Settings(home=tmp_path))
    add_upload(catalog, Upload(EVIL, "text", 1, "ab" * 32), "default")
    catalog.close()
    home = ("--home", str(tmp_path))
    listed = shown(*home, "ingest", "status")
    assert "a�[31mb" in listed
    assert not acts(listed)
    assert not acts(shown(*home, "ingest", "status", "--json"))
    removed = shown(*home, "ingest", "remove", EVIL)
    assert "failed a�" in removed
    # the line of a failure is red
    assert not acts(removed.replace("\x1b[31m", "").replace("\x1b[0m", ""))


PLACE = {"source": EVIL, "title": EVIL, "page": 1, "score": 0.5, "text": EVIL, "quote": EVIL}


class Session:
    """Answers and finds what is hostile."""

    def __init__(self, abstained: bool) -> None:
        self.abstained = abstained

    def search(self, *_: object) -> list[Mapping[str, Any]]:
        return [PLACE]

    def ask(self, _: Question) -> Iterator[tuple[str, Mapping[str, Any]]]:
        sentence = {"text": EVIL, "support": "quoted", "citations": [1]}
        yield (
            "done",
            {
                "abstained": self.abstained,
                "text": "The documents do not say.",
                "passages": [PLACE],
                "sentences": [] if self.abstained else [sentence],
                "citations": [] if self.abstained else [{"n": 1, **PLACE}],
                "timings_ms": {"total": 1},
                "model": {"id": EVIL},
                "confidence": 0.5,
            },
        )


@pytest.mark.parametrize("abstained", [False, True])
def test_text_of_documents_does_not_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstained: bool
) -> None:
    @contextmanager
    def session(*_: object, **__: object) -> Iterator[Session]:
        yield Session(abstained)

    for command in ("ask", "search"):
        monkeypatch.setattr(f"rag.commands.{command}.open_session", session)
        text = shown("--home", str(tmp_path), command, "leave?")
        assert "a�[31mb" in text
        for style in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
            text = text.replace(style, "")
        assert not acts(text)
        assert not acts(shown("--home", str(tmp_path), command, "leave?", "--json"))


def test_an_error_does_not_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotFound(f"There is no collection “{EVIL}”.")

    monkeypatch.setattr("rag.commands.search.open_session", refuse)
    text = shown("--home", str(tmp_path), "search", "leave?", "--json")
    assert "Error: There is no collection “a�" in text
    assert not acts(text)
