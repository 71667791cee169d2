"""Patterns take and leave out what git's would, and a sync keeps to them."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner

from ingest.discover import Found, walk
from ingest.patterns import selection
from ingest.sync import register
from rag.catalog.folders import folder_key
from rag.cli import main
from rag.errors import UsageError
from rag.settings import load_settings
from rag.testing import fake_library
from tests.ingest.estates import Estate

FILES = (
    "a.pdf", "B.PDF", "a.txt", "drafts/a.pdf", "drafts/deep/b.txt", "x/drafts/c.txt", "x/y/z/d.txt",
    "x/a[1].txt", "drafts.txt", "~$a.docx",
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.pdf", {"a.pdf", "B.PDF", "drafts/a.pdf"}),
        ("/*.pdf", {"a.pdf", "B.PDF"}),
        ("drafts", {"drafts/a.pdf", "drafts/deep/b.txt", "x/drafts/c.txt"}),
        ("drafts/", {"drafts/a.pdf", "drafts/deep/b.txt", "x/drafts/c.txt"}),
        ("/drafts/", {"drafts/a.pdf", "drafts/deep/b.txt"}),
        ("drafts/**", {"drafts/a.pdf", "drafts/deep/b.txt"}),
        ("drafts/*", {"drafts/a.pdf", "drafts/deep/b.txt"}),
        ("drafts/*.txt", set()),
        ("**/drafts/*.txt", {"x/drafts/c.txt"}),
        ("x/**/d.txt", {"x/y/z/d.txt"}),
        ("x/**/drafts", {"x/drafts/c.txt"}),
        ("x/*/d.txt", set()),
        ("?.txt", {"a.txt", "drafts/deep/b.txt", "x/drafts/c.txt", "x/y/z/d.txt"}),
        ("[ab].txt", {"a.txt", "drafts/deep/b.txt"}),
        ("[!a-c].txt", {"x/y/z/d.txt"}),
        ("a\\[1].txt", {"x/a[1].txt"}),
        ("~$*", {"~$a.docx"}),
        ("a.txt/", set()),
        ("nothing", set()),
    ],
)
def test_what_a_pattern_matches(pattern: str, matched: set[str]) -> None:
    assert {name for name in FILES if selection([pattern]).takes(name)} == matched
    left = {name for name in FILES if selection(exclude=[pattern]).takes(name)}
    assert left == set(FILES) - matched


def test_excluded_goes_before_included() -> None:
    both = selection(["*.pdf", "*.txt"], ["drafts/"])
    assert {name for name in FILES if both.takes(name)} == {
        "a.pdf", "B.PDF", "a.txt", "x/y/z/d.txt", "x/a[1].txt", "drafts.txt",
    }  # fmt: skip
    assert both.enters("x")
    assert not both.enters("x/drafts")


@pytest.mark.parametrize("pattern", ["entwürfe/", "Entw[uü]rfe", "/Entw?rfe/**", "*/ö.TXT"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("named", ["NFC", "NFD"])
def test_accents_match_however_they_are_written(
    pattern: str, typed: Literal["NFC", "NFD"], named: Literal["NFC", "NFD"]
) -> None:
    folder = unicodedata.normalize(named, "Entwürfe")
    name = unicodedata.normalize(named, "Entwürfe/Ö.txt")
    given = unicodedata.normalize(typed, pattern)
    assert selection([given]).takes(name)
    left = selection(exclude=[given])
    assert not left.takes(name)
    assert left.enters(folder) == ("*" in pattern)


@pytest.mark.parametrize("pattern", ["", "/", "../a", "!a", "[z-a]", "a/../b"])
def test_no_patterns(pattern: str) -> None:
    with pytest.raises(UsageError):
        selection([pattern])


def test_an_excluded_folder_is_not_even_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked" / "deep").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("x")
    looked: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(Path(path).name) or scan(path))
    found = list(walk(tmp_path, selection(exclude=["locked/"])))
    assert [type(item) for item in found] == [Found]
    assert looked == [tmp_path.name]


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    (tmp_path / "folder").mkdir()
    library = fake_library(tmp_path / "home", sync_exclude=("drafts/",))
    yield Estate(tmp_path / "folder", library)
    library.close()


def test_what_falls_out_of_the_patterns_leaves_the_library(estate: Estate) -> None:
    for number in range(12):
        estate.write(f"{number}.txt", f"About giraffes {number}.")
    estate.write("drafts/d.txt", "About zebras.")
    assert estate.sync().new == 12
    library, key = estate.library, folder_key(estate.library.catalog, str(estate.folder), "default")

    def again(*exclude: str, confirmed: bool = False) -> int:
        chosen = selection(exclude=exclude)
        report = register(
            library.settings, library.catalog, estate.folder, key, "default", confirmed, chosen
        )
        return report.removed

    assert again("0.txt", "drafts/") == 1
    with pytest.raises(UsageError, match="--confirm-deletions"):
        again("*.txt")
    assert again("*.txt", confirmed=True) == 11


def test_hidden_files_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    library = fake_library(tmp_path / "home", sync_hidden=True)
    estate = Estate(tmp_path / "folder", library)
    estate.write(".notes/a.txt", "About giraffes.")
    assert estate.sync().new == 1
    library.close()


def test_the_command_keeps_to_its_options(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "old/c.txt"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(f"About giraffes in {name}.")
    given = {
        "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
        "CLOISTER_INGEST_FREE_BYTES": "0",
    }
    arguments = ["--home", str(tmp_path / "home"), "ingest", "sync", str(tmp_path / "folder")]
    arguments += ["--include", "*.txt", "--include", "*.md", "--exclude", "old/", "--json"]
    result = CliRunner(env=given).invoke(main, arguments)
    assert (result.exit_code, json.loads(result.stdout)["new"]) == (0, 2)


def test_the_settings_of_patterns(tmp_path: Path) -> None:
    environ = {"CLOISTER_SYNC_EXCLUDE": "drafts/, ~$*", "CLOISTER_SYNC_HIDDEN": "yes"}
    settings = load_settings({"home": tmp_path}, environ)
    assert (settings.sync_exclude, settings.sync_hidden) == (("drafts/", "~$*"), True)
    with pytest.raises(UsageError, match=r"sync\.hidden"):
        load_settings({"home": tmp_path}, {"CLOISTER_SYNC_HIDDEN": "perhaps"})
