"""Questions asked of some documents only."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner

from ingest import discover
from rag import retrieval
from rag.catalog.documents import list_documents
from rag.catalog.filtering import day_of
from rag.catalog.folders import touch_files
from rag.catalog.holdings import Scope, list_holdings
from rag.catalog.passages import live_chunks, live_size
from rag.cli import main
from rag.errors import NotFound, UsageError
from rag.library import Library
from rag.records import Filters, Question
from rag.testing import FakeLLM, fake_library
from tests.ingest.estates import Estate
from tests.ingest.packing import mail as packed_mail
from tests.ingest.packing import zipped
from tests.ingest.reading import add_text, read_all

# file, day of its last change, text
FILES = {
    "hr/leave.txt": ("2024-03-01", "Unused leave may be carried over until March."),
    "hr/old/leave.md": ("2023-12-31", "# Leave\n\nUnused leave may be carried over until June."),
    "hr2/leave.txt": ("2024-03-02", "Unused leave may be carried over until April."),
    "Hr/leave.csv": ("2025-06-30", "leave,carried over\nunused,until May\n"),
    "urlaub.txt": (
        "2025-01-01",
        "Nicht genommener Urlaub verfällt am Ende des Jahres, wenn er nicht bis zum März des "
        "folgenden Jahres genommen wird. Das gilt für alle Beschäftigten der Genossenschaft.",
    ),
}


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    """A synced folder of the FILES, whose times count though they were set just now."""
    monkeypatch.setattr(discover, "RACY_NANOSECONDS", 0)
    estate = Estate(tmp_path / "files", fake_library(tmp_path / "home"))
    for name, (day, text) in FILES.items():
        path = estate.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        # late on that day: the day is UTC's
        late = datetime.fromisoformat(f"{day}T23:59:59.5").replace(tzinfo=UTC).timestamp()
        os.utime(path, (late, late))
    estate.sync()
    yield estate
    estate.library.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


def found(library: Library, filters: Filters) -> set[str]:
    return {p.source for p in library.search("unused leave carried over", None, 20, filters)}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("filters", "sources"),
    [
        (Filters(), set(FILES)),
        (Filters(folder="hr"), {"hr/leave.txt", "hr/old/leave.md"}),
        (Filters(folder="hr/old/"), {"hr/old/leave.md"}),
        (Filters(folder="./hr/"), {"hr/leave.txt", "hr/old/leave.md"}),
        (Filters(folder="/"), set(FILES)),
        (Filters(folder="FILES"), set(FILES)),
        (Filters(folder="FILES/hr/old"), {"hr/old/leave.md"}),
        (Filters(folder="FILES/.."), set(FILES)),
        (Filters(folder="././hr/../hr/old"), {"hr/old/leave.md"}),
        (Filters(kinds=("CSV", ".markdown")), {"hr/old/leave.md", "Hr/leave.csv"}),
        (Filters(languages=("DE",)), {"urlaub.txt"}),
        (Filters(since="0001-01-01", until="9999-12-31"), set(FILES)),
        (Filters(kinds=("csv", "markdown")), {"hr/old/leave.md", "Hr/leave.csv"}),
        (Filters(languages=("de",)), {"urlaub.txt"}),
        (Filters(since="2024-03-01", until="2024-03-01"), {"hr/leave.txt"}),
        (Filters(since="2024-03-02"), {"hr2/leave.txt", "Hr/leave.csv", "urlaub.txt"}),
        (Filters(folder="hr", until="2023-12-31"), {"hr/old/leave.md"}),
    ],
)
def test_only_documents_that_pass_are_found(
    filters: Filters,
    sources: set[str],
    exact: bool,
    estate: Estate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In both ways of searching: all that is allowed exactly, and through the index."""
    monkeypatch.setattr(retrieval, "EXACT_LIMIT", 5_000 if exact else -1)
    if filters.folder.startswith("FILES"):  # the folder's place on the disk
        filters = Filters(folder=filters.folder.replace("FILES", str(estate.folder)))
    assert found(estate.library, filters) == sources
    catalog = estate.library.catalog
    assert len(live_chunks(catalog, None, "fake", filters)[0]) == live_size(catalog, None, filters)


def test_a_document_is_found_with_what_is_in_it(estate: Estate) -> None:
    import zipfile

    with zipfile.ZipFile(estate.folder / "all.zip", "w") as archive:
        archive.writestr("in.txt", "Unused leave may be carried over until July.")
        archive.writestr("deep/mail.eml", "Subject: x\n\nUnused leave is carried over to August.")
    estate.sync()
    library = estate.library
    ids = {d.source: d.id for d in list_documents(library.catalog)}
    inside = {"all.zip/in.txt", "all.zip/deep/mail.eml"}
    assert found(library, Filters(documents=(ids["all.zip"],))) == inside
    both = (ids["all.zip/in.txt"], ids["hr/leave.txt"])
    assert found(library, Filters(documents=both)) == {"all.zip/in.txt", "hr/leave.txt"}
    assert found(library, Filters(documents=both, folder="hr")) == {"hr/leave.txt"}


@pytest.mark.parametrize("named", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_folder_is_found_however_its_accents_are_written(
    library: Library,
    tmp_path: Path,
    named: Literal["NFC", "NFD"],
    typed: Literal["NFC", "NFD"],
) -> None:
    estate = Estate(tmp_path / unicodedata.normalize(named, "Büro"), library)
    source = unicodedata.normalize(named, "Anträge/Größe/a.txt")
    estate.write(source, "Unused leave may be carried over until March.")
    estate.write("Antrage/b.txt", "Unused leave may be carried over until June.")
    estate.sync()
    for path in ("Anträge", "Anträge/Größe/", f"{tmp_path}/Büro/Anträge"):
        filters = Filters(folder=unicodedata.normalize(typed, path))
        assert found(library, filters) == {source}
    whole = Filters(folder=unicodedata.normalize(typed, f"{tmp_path}/Büro"))
    assert found(library, whole) == {source, "Antrage/b.txt"}


def test_an_answer_is_of_the_documents_asked(estate: Estate) -> None:
    FakeLLM.replies = ["Unused leave may be carried over until June."]
    asked = Question("Until when may leave be carried over?", filters=Filters(folder="hr/old"))
    events = estate.library.ask(asked)
    (answer,) = [event.data for event in events if event.name == "done"]
    assert {p["source"] for p in answer["passages"]} == {"hr/old/leave.md"}
    assert answer["filters"]["folder"] == "hr/old"


@pytest.mark.parametrize(
    ("filters", "error", "told"),
    [
        (Filters(documents=("doc_0000",)), NotFound, "no document doc_0000"),
        (Filters(folder="h%"), NotFound, "No searchable document passes the filters"),
        (Filters(until="2023-12-30"), NotFound, "No searchable document passes"),
        (Filters(kinds=("txt",)), NotFound, "Kinds here: csv, markdown, text; languages: de"),
        (Filters(kinds=("pdf",) * 51), UsageError, "More than 50 kinds"),
        (Filters(folder="a\udcff"), UsageError, "A filter is no text"),
        (Filters(documents=("",)), NotFound, "no document"),
        (Filters(since="last week"), UsageError, "since is “last week”, which is no day"),
        (Filters(until="20240301"), UsageError, "until is “20240301”"),
        (Filters(since="2024-03-02", until="2024-03-01"), UsageError, "No day is both"),
    ],
)
def test_filters_that_mean_nothing_are_refused(
    filters: Filters, error: type[Exception], told: str, estate: Estate
) -> None:
    with pytest.raises(error, match=told):
        estate.library.search("leave", None, 5, filters)
    with pytest.raises(error, match=told):
        estate.library.ask(Question("leave?", filters=filters))


def test_a_removed_document_cannot_be_asked(estate: Estate) -> None:
    from rag.catalog.documents import remove

    ids = {d.source: d.id for d in list_documents(estate.library.catalog)}
    remove(estate.library.catalog, ids["hr/leave.txt"])
    with pytest.raises(NotFound, match="may have been removed"):
        found(estate.library, Filters(documents=(ids["hr/leave.txt"],)))


def test_a_file_that_changed_just_now_is_dated_by_its_change(tmp_path: Path) -> None:
    estate = Estate(tmp_path / "files", fake_library(tmp_path / "home"))
    estate.folder.mkdir()
    path = estate.folder / "leave.txt"
    path.write_text("Unused leave may be carried over.", "utf-8")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    estate.sync()
    (passage,) = estate.library.search("leave")
    assert passage.dated == "2023-11-14"
    assert found(estate.library, Filters(until="2023-11-14")) == {"leave.txt"}
    estate.library.close()


def mail(sent: str) -> str:
    return f"Subject: Leave\nFrom: a@example.com\nDate: {sent}\n\nUnused leave is carried over.\n"


def test_a_mail_is_dated_by_when_it_was_sent_and_not_by_its_file(estate: Estate) -> None:
    (estate.folder / "leave.eml").write_text(mail("Sun, 05 Feb 2023 23:30:00 -0100"))
    (estate.folder / "undated.eml").write_text("Subject: Leave\n\nUnused leave is carried over.\n")
    (estate.folder / "wrong.eml").write_text(mail("Tue, 05 Feb 2200 23:30:00 -0100"))
    estate.sync()
    dated = {p.source: p.dated for p in estate.library.search("unused leave", limit=20)}
    assert dated["leave.eml"] == "2023-02-06"
    for source in ("undated.eml", "wrong.eml"):
        written = (estate.folder / source).stat().st_mtime
        assert dated[source] == datetime.fromtimestamp(written, UTC).date().isoformat()
    assert found(estate.library, Filters(until="2023-02-06")) == {"leave.eml"}
    with pytest.raises(NotFound):
        found(estate.library, Filters(until="2023-02-05"))
    assert "leave.eml" in found(estate.library, Filters(since="2023-02-06"))
    assert "leave.eml" not in found(estate.library, Filters(since="2023-02-07"))


def test_mails_of_one_day_come_in_the_order_in_which_they_were_sent(library: Library) -> None:
    for name, hour in (("b.eml", 9), ("c.eml", 11), ("a.eml", 10)):
        add_text(library, name, mail(f"Mon, 05 Feb 2024 {hour:02}:30:00 +0000"))
    add_text(library, "note.txt", "Unused leave is carried over.")
    read_all(library)
    oldest = list_holdings(library.catalog, Scope(), "oldest")
    assert [held.source for held in oldest] == ["b.eml", "a.eml", "c.eml", "note.txt"]
    assert [held.dated_by for held in oldest] == ["sent"] * 3 + ["added"]
    assert {held.dated for held in oldest[:3]} == {"2024-02-05"}
    assert found(library, Filters(until="2024-02-05")) == {"a.eml", "b.eml", "c.eml"}


def test_what_came_in_a_mail_is_dated_with_it(estate: Estate) -> None:
    inner = packed_mail("Old rule", "Unused leave.", {"old.txt": "Unused leave is lost."})
    inner["Date"] = "Mon, 01 Jan 2018 12:00:00 +0000"
    outer = packed_mail("Rules", "Unused leave, see below.", {"new.txt": "Unused leave is kept."})
    outer.add_attachment(inner)
    outer.add_attachment(
        zipped({"a.zip": zipped({"deep.txt": "Unused leave is paid."})}),
        maintype="application", subtype="zip", filename="more.zip",
    )  # fmt: skip
    outer["Date"] = "Sun, 05 Feb 2023 23:30:00 -0100"
    (estate.folder / "m.eml").write_bytes(outer.as_bytes())
    (estate.folder / "plain.zip").write_bytes(zipped({"p.txt": "Unused leave of a zip."}))
    estate.sync()
    inside = {"m.eml", "m.eml/new.txt", "m.eml/more.zip/a.zip/deep.txt"}
    before = {"m.eml/Old rule.eml", "m.eml/Old rule.eml/old.txt"}
    assert found(estate.library, Filters(until="2018-01-01")) == before
    assert found(estate.library, Filters(since="2023-02-06", until="2023-02-06")) == inside
    dated = {p.source: p.dated for p in estate.library.search("unused leave", limit=30)}
    assert {dated[source] for source in inside} == {"2023-02-06"}
    assert {dated[source] for source in before} == {"2018-01-01"}
    held = {held.source: held for held in list_holdings(estate.library.catalog, Scope())}
    assert held["m.eml/new.txt"].dated_by == "sent"
    assert held["plain.zip/p.txt"].dated_by == "changed"

    del outer["Date"]
    outer["Date"] = "Tue, 07 Feb 2023 12:00:00 +0000"
    (estate.folder / "m.eml").write_bytes(outer.as_bytes())
    estate.sync()
    assert found(estate.library, Filters(since="2023-02-07", until="2023-02-07")) == inside
    assert found(estate.library, Filters(until="2023-02-06")) == before


def test_an_upload_is_dated_by_the_day_on_which_it_was_added() -> None:
    assert day_of("2024-02-29T23:59:59Z", "1:2:3", "2026-11-26T01:02:03+00:00") == "2024-02-29"
    assert day_of("", "", "2026-11-26T01:02:03+00:00") == "2026-11-26"
    assert day_of("", "120:86399999999999:7", "2026-11-26T01:02:03+00:00") == "1970-01-01"
    assert day_of("", "120:86400000000000:7", "2026-11-26T01:02:03+00:00") == "1970-01-02"


def test_a_file_of_a_year_that_no_calendar_has_is_found_and_listed(estate: Estate) -> None:
    # as tmpfs, btrfs, ZFS and SMB keep them: years 11476 and -1, and as far as 64 bits go
    times = {
        "hr/leave.txt": (300_000_000_000 * 10**9, "9999-12-31"),
        "hr/old/leave.md": (-62_200_000_000 * 10**9, "0001-01-01"),
        "urlaub.txt": ((2**63 - 1) * 10**9, "9999-12-31"),
    }
    catalog = estate.library.catalog
    ids = {d.source: d.id for d in list_documents(catalog)}
    keys = [(ids[source], f"10:{at}:{at}:7") for source, (at, _) in times.items()]
    touch_files(catalog, keys)
    passages = estate.library.search("unused leave carried over", limit=20)
    dated = {source: day for source, (_, day) in times.items()}
    assert {p.source: p.dated for p in passages if p.source in times} == dated
    held = {h.source: h.dated for h in list_holdings(catalog, Scope())}
    assert {source: held[source] for source in times} == dated
    assert found(estate.library, Filters(until="2023-12-30")) == {"hr/old/leave.md"}
    assert found(estate.library, Filters(since="2026-01-01")) == {"hr/leave.txt", "urlaub.txt"}


@pytest.mark.parametrize("command", ["ask", "search"])
def test_the_commands_take_filters(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Filters] = []

    class Session:
        """Keeps the filters."""

        def search(self, _query: str, _names: object, _limit: int, filters: Filters) -> list[Any]:
            asked.append(filters)
            return []

        def ask(self, question: Question) -> list[Any]:
            asked.append(question.filters)
            return []

    @contextmanager
    def session(*_: object, **__: object) -> Iterator[Session]:
        yield Session()

    monkeypatch.setattr(f"rag.commands.{command}.open_session", session)
    options = ["--document", "doc_1", "--document", "doc_2", "--folder", "hr", "--kind", "pdf"]
    options += ["--language", "de", "--since", "2025-01-01", "--until", "2025-12-31", "--json"]
    done = CliRunner().invoke(main, [command, "leave", *options])
    assert done.exit_code == 0, done.output
    assert asked == [
        Filters(("doc_1", "doc_2"), "hr", ("pdf",), ("de",), "2025-01-01", "2025-12-31")
    ]
