"""Questions about the library itself are answered from the catalog."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest import discover
from rag import inventory, inventory_finding, inventory_whole
from rag.catalog.answers import read_answer
from rag.catalog.collections import create_collection
from rag.catalog.documents import list_documents, remove
from rag.catalog.pages import read_page
from rag.catalog.passages import live_chunks, passages_of
from rag.cli import main
from rag.errors import Busy, NotFound, StorageError
from rag.library import Library
from rag.records import Filters, Question, Turn
from rag.testing import FakeLLM, fake_library, fake_settings
from rag.vectors import VectorIndex
from tests.ingest.estates import Estate
from tests.ingest.packing import mail, zipped
from tests.ingest.reading import add_text, read_all

# file, day of its last change, content
FILES: dict[str, tuple[str, str | bytes]] = {
    "hr/travel_policy.md": (
        "2025-03-01",
        "# Travel policy\n\nWho goes by train books second class. Travel costs are refunded.",
    ),
    "hr/handbook.txt": (
        "2024-06-01",
        "Staff handbook.\n\nUnused leave is lost in March.\n\nTravel time is working time.",
    ),
    "HR/urlaub.txt": (
        "2023-01-01",
        "Nicht genommener Urlaub verfällt am Ende des Jahres, wenn er nicht bis zum März des "
        "folgenden Jahres genommen wird. Das gilt für alle Reisen der Beschäftigten.",
    ),
    "board/minutes.txt": ("2025-05-21", "The board chose the crane of Morland [1] for hall 2."),
    "board/fleet.csv": ("2022-02-02", "van,driver\nV-11,Niamh\nV-12,Aurel\n"),
    "offers/May.zip": (
        "2024-05-05",
        zipped({"prices.txt": "The pump KP-150 costs 3,190 euros.", "notes.txt": "Call Bernard."}),
    ),
}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A synced folder of the FILES, and no LLM."""
    home = tmp_path_factory.mktemp("inventory")
    library = Library(fake_settings(home / "home"))
    library.load(llm=False)
    estate = Estate(home / "files", library)
    for name, (day, content) in FILES.items():
        estate.write(name, content)
        noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp()
        os.utime(estate.folder / name, (noon, noon))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discover, "RACY_NANOSECONDS", 0)
        estate.sync()
    yield estate
    library.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library."""
    FakeLLM.replies = []
    library = fake_library(tmp_path)
    yield library
    library.close()


def ask(library: Library, text: str, **asked: Any) -> dict[str, Any]:
    """The answer, whose citations are exact and whose sentences are all from the catalog."""
    events = list(library.ask(Question(text, **asked)))
    answer = dict(events[-1].data)
    assert [e.name for e in events] == [
        "sources",
        *["sentence"] * len(answer["sentences"]),
        "done",
    ]
    assert events[0].data["passages"] == answer["passages"]
    shown = [e.data for e in events[1:-1]]
    assert [e["text"] for e in shown] == [s["text"] for s in answer["sentences"]]
    assert [c for e in shown for c in e["new_citations"]] == answer["citations"]
    assert {s["support"] for s in answer["sentences"]} == {"catalog"}
    assert answer["answered_from"] == "catalog"
    assert not answer["abstained"]
    numbers = {n for s in answer["sentences"] for n in s["citations"]}
    assert numbers == {c["n"] for c in answer["citations"]}
    for citation in answer["citations"]:
        page = read_page(library.catalog, citation["document_id"], citation["page"])
        assert page.text[citation["start"] : citation["end"]] == citation["quote"] != ""
    assert read_answer(library.catalog, answer["id"])["text"] == answer["text"]
    return answer


def ordinary(library: Library, text: str, **asked: Any) -> bool:
    """Whether a question is not answered from the catalog, but needs the LLM."""
    question = Question(text, **asked)
    if library.readiness()["llm"] == "ready":
        return list(library.ask(question))[-1].data["answered_from"] != "catalog"
    with pytest.raises(Busy, match="The LLM"):
        library.ask(question)
    return True


def listed(answer: dict[str, Any]) -> list[str]:
    """The sources of the documents that an answer lists, in order."""
    return [citation["source"] for citation in answer["citations"]]


def first(answer: dict[str, Any]) -> str:
    return str(answer["sentences"][0]["text"])


def test_the_documents_with_a_topic_are_listed_by_name_first(estate: Estate) -> None:
    answer = ask(estate.library, "Which documents do you have on travel?")
    assert answer["text"] == (
        "2 documents mention “travel”, 1 of them in its title or file name too:\n"
        "Travel policy (hr/travel_policy.md) [1]\n"
        "hr/handbook.txt [2]"
    )
    assert [c["quote"] for c in answer["citations"]] == [
        "Travel costs are refunded.",
        "Travel time is working time.",
    ]
    assert answer["citations"][0]["url"].startswith("/documents/doc_")
    assert (answer["confidence"], answer["short_answer"]) == (1.0, None)
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}


@pytest.mark.parametrize(
    ("question", "sources"),
    [
        ("Which documents do you have on unused leave?", ["hr/handbook.txt"]),
        ("List the documents about travelling", ["hr/travel_policy.md", "hr/handbook.txt"]),
        ("Which documents mention the KP-150?", ["offers/May.zip/prices.txt"]),
        ("Welche Dokumente gibt es über die Reise?", ["HR/urlaub.txt"]),
        ("Which documents do you have about fleets?", ["board/fleet.csv"]),
        ("list the documents in the folder board", ["board/fleet.csv", "board/minutes.txt"]),
        ("List the CSV files in the board folder", ["board/fleet.csv"]),
        (
            "list the documents in the folder Hr",
            ["HR/urlaub.txt", "hr/handbook.txt", "hr/travel_policy.md"],
        ),
    ],
)
def test_what_is_listed(estate: Estate, question: str, sources: list[str]) -> None:
    assert listed(ask(estate.library, question)) == sources


def test_documents_are_counted(estate: Estate) -> None:
    answer = ask(estate.library, "How many documents are there?")
    assert answer["text"] == "The library has 7 documents.\nNot counted: 1 archive."
    assert (answer["short_answer"], answer["citations"], answer["passages"]) == ("7", [], [])
    answer = ask(estate.library, "How many documents mention travel?")
    assert first(answer).startswith("2 documents mention “travel”")
    assert (answer["short_answer"], len(answer["citations"])) == ("2", 2)
    assert first(ask(estate.library, "How many text files are in the folder board?")) == (
        "The library has 1 text file in the folder “board”."
    )


def test_a_member_is_named_with_what_it_is_in(estate: Estate) -> None:
    answer = ask(estate.library, "Which documents mention Bernard?")
    assert answer["sentences"][1]["text"] == "notes.txt in offers/May.zip"
    assert listed(answer) == ["offers/May.zip/notes.txt"]


def test_the_newest_and_the_oldest_go_by_the_file(estate: Estate) -> None:
    answer = ask(estate.library, "What is the newest document?")
    assert listed(answer) == ["board/minutes.txt"]
    answer = ask(estate.library, "What is the newest document in the folder offers?")
    assert answer["sentences"][1]["text"] == "notes.txt in offers/May.zip, changed on 2024-05-05"
    answer = ask(estate.library, "What is the newest document in the folder hr?")
    assert answer["text"] == (
        "The newest document in the folder “hr”:\n"
        "Travel policy (hr/travel_policy.md, changed on 2025-03-01) [1]"
    )
    assert answer["short_answer"] == "Travel policy"
    answer = ask(estate.library, "Show me the oldest documents")
    assert listed(answer)[:2] == ["board/fleet.csv", "HR/urlaub.txt"]
    assert len(listed(answer)) == 5
    answer = ask(estate.library, "What is the oldest document on travel?")
    assert listed(answer) == ["hr/handbook.txt"]


def test_what_changed_or_came(estate: Estate) -> None:
    answer = ask(estate.library, "What changed since yesterday?")
    # all were added today; those whose files changed last come first
    assert len(listed(answer)) == 7
    assert listed(answer)[0] == "board/minutes.txt"
    answer = ask(estate.library, "Which documents were changed in May 2025?")
    assert listed(answer) == ["board/minutes.txt"]
    assert "from 2025-05-01 to 2025-05-31" in first(answer)
    answer = ask(estate.library, "Which documents were changed in April 2025?")
    assert answer["text"] == (
        "The library has no documents changed or added from 2025-04-01 to 2025-04-30."
    )


@pytest.mark.parametrize(
    ("question", "said", "short"),
    [
        (
            "Do you have the travel policy?",
            "Yes: 1 document has “travel policy” in its title",
            "yes",
        ),
        (
            "Do you have the travel handbook?",
            "No document has “travel handbook” in its title or file name, but 1 document has a "
            "passage with all words of “travel handbook”:",
            "no",
        ),
        (
            "Do you have the sabbatical policy?",
            "No document has “sabbatical policy” in its title or file name, and none has a "
            "passage with all words of “sabbatical policy”.",
            "no",
        ),
        ("Is there a document about leave?", "Yes: 1 document mentions “leave”:", "yes"),
        ("Is there a document called fleet?", "Yes: 1 document has “fleet” in its title", "yes"),
        ("Do you have a document about sharks?", "No document mentions “sharks”.", "no"),
        (
            "Do you have the latest travel policy for managers?",
            "No document has “travel policy for managers” in its title or file name, but 1 "
            "document has “travel policy” there:",
            None,
        ),
    ],
)
def test_whether_there_is_one(estate: Estate, question: str, said: str, short: str | None) -> None:
    answer = ask(estate.library, question)
    assert first(answer).startswith(said)
    assert answer["short_answer"] == short


def test_what_is_nearest_is_said_where_nothing_has_the_words(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(estate.library, "Which documents do you have on sharks?")
    assert [s["text"] for s in answer["sentences"]][:2] == [
        "No document mentions “sharks”.",
        "The nearest in meaning are:",
    ]
    assert len(listed(answer)) == 3

    def unreadable(self: VectorIndex, *_: Any) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(VectorIndex, "query", unreadable)
    answer = ask(estate.library, "Which documents do you have on sharks?")
    assert answer["text"] == "No document mentions “sharks”."


def test_filters_and_collections_hold(estate: Estate) -> None:
    library = estate.library
    only = Filters(folder="board")
    assert ask(library, "How many documents are there?", filters=only)["text"] == (
        "The part of the library that was asked has 2 documents."
    )
    answer = ask(library, "Which documents do you have on travel?", filters=only)
    assert first(answer) == "No document mentions “travel”."
    assert set(listed(answer)) <= {"board/fleet.csv", "board/minutes.txt"}
    create_collection(library.catalog, "empty")
    answer = ask(library, "How many documents are there?", collections=("empty",))
    assert answer["short_answer"] == "0"
    answer = ask(library, "Which documents do you have on travel?", collections=("empty",))
    assert answer["citations"] == []
    answer = ask(library, "How many documents are in the collection empty?")
    assert answer["short_answer"] == "0"
    answer = ask(library, "List the documents in the collection nowhere")
    assert answer["text"] == "There is no collection “nowhere”."
    mails = Filters(kinds=("csv",))
    assert listed(ask(library, "List all documents", filters=mails)) == ["board/fleet.csv"]


def test_what_is_asked_of_one_document_is_about_what_it_says(estate: Estate) -> None:
    chosen = next(d.id for d in list_documents(estate.library.catalog) if d.kind == "zip")
    only = Filters(documents=(chosen,))
    assert ordinary(estate.library, "How many documents are there?", filters=only)


@pytest.mark.parametrize(
    "question",
    [
        "Which documents mention sharks?",
        "Is there a document about sharks?",
        "Is there a document called Sharks?",
        "List the documents about travelling sharks",
        "List the files in the config directory",
        "How many files are in the folder config?",
        "Gibt es Dokumente über Haie?",
    ],
)
def test_what_the_catalog_does_not_have_is_sought_in_the_passages(
    estate: Estate, question: str
) -> None:
    assert ordinary(estate.library, question)


def test_a_bare_follow_up_is_sought_in_the_passages_where_no_document_has_it(
    estate: Estate,
) -> None:
    turn = Turn("Which documents do you have on travel?", "…")
    assert listed(ask(estate.library, "and leave?", history=(turn,))) == ["hr/handbook.txt"]
    assert ordinary(estate.library, "and sharks?", history=(turn,))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Two mails and four texts in two languages, and no LLM."""
    home = tmp_path_factory.mktemp("mixed")
    library = Library(fake_settings(home / "home"))
    library.load(llm=False)
    estate = Estate(home / "files", library)
    for name, sender, day, text in (
        (
            "a.eml",
            "Jonas Brandt <jb@example.org>",
            "Mon, 03 Mar 2025",
            "From: Ada. The crane came.",
        ),
        ("b.eml", "Ada <ada@example.org>", "Tue, 05 Mar 2024", "The crane is late, Jonas Brandt."),
    ):
        message = mail("Crane", f"Dear all,\n\n{text}")
        message.replace_header("From", sender)
        message["Date"] = f"{day} 10:00:00 +0000"
        estate.write(name, bytes(message))
    english = (
        "Whoever keeps data of customers deletes them after ten years, by the law of the land."
    )
    estate.write("data_retention_policy.md", "\n\n".join([english] * 40))
    estate.write("urlaub.md", "Wer Urlaub nehmen will, fragt zuerst die Leitung der Abteilung.")
    estate.write("tea.txt", "The tea is in the kitchen of the house, and whoever likes takes it.")
    estate.write("notes_2019-03.txt", "The notes 12019 are of the meeting of all, in the hall.")
    noon = datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()
    os.utime(estate.folder / "tea.txt", (noon, noon))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discover, "RACY_NANOSECONDS", 0)
        estate.sync()
    yield library
    library.close()


def test_kinds_are_named_with_their_numbers(mixed: Library) -> None:
    said = "2 Markdown files, 2 e-mails and 2 text files"
    for question in ("What file types do you have?", "Welche Arten von Dokumenten gibt es?"):
        assert ask(mixed, question)["text"] == f"The library has 6 documents: {said}."
    only = Filters(kinds=("text",))
    assert ask(mixed, "What kinds of documents are there?", filters=only)["text"] == (
        "The part of the library that was asked has 2 documents: 2 text files."
    )


def test_what_it_can_do_is_said_with_what_it_has(mixed: Library) -> None:
    answer = ask(mixed, "What can you do?")
    assert first(answer).startswith("Cloister answers questions from the documents")
    assert answer["sentences"][1]["text"] == "The library has 6 documents."
    assert answer["short_answer"] is None


def test_the_longest_has_the_most_passages(mixed: Library) -> None:
    answer = ask(mixed, "Which document is the longest?")
    assert listed(answer) == ["data_retention_policy.md"]
    assert first(answer) == "The longest document:"
    assert "passages" in answer["sentences"][1]["text"]


@pytest.mark.parametrize(
    ("question", "sources"),
    [
        ("Which mails are from Jonas Brandt?", ["a.eml"]),
        ("Welche Mails hat Jonas Brandt geschickt?", ["a.eml"]),
        ("Quels mails sont de Jonas Brandt ?", ["a.eml"]),
        ("Which mails did ada@example.org send?", ["b.eml"]),
        ("Which mails do you have from Ada about the crane?", ["b.eml"]),
        ("What is the newest mail?", ["a.eml"]),
        ("What is the oldest mail?", ["b.eml"]),
        ("Which documents are in German?", ["urlaub.md"]),
        ("Welche Dokumente sind auf Deutsch?", ["urlaub.md"]),
        ("Which documents are from 2024?", ["b.eml"]),
        ("Which documents are from 2025?", ["tea.txt", "a.eml"]),
        ("Which documents are from March 2025?", ["a.eml"]),
        ("Which documents are from 2019?", ["notes_2019-03.txt"]),
        ("In which documents is the kitchen mentioned?", ["tea.txt"]),
        ("Which documents contain the word kitchen?", ["tea.txt"]),
        ("Do we have a policy on data retention?", ["data_retention_policy.md"]),
    ],
)
def test_what_is_found_by_what_it_is(mixed: Library, question: str, sources: list[str]) -> None:
    assert listed(ask(mixed, question)) == sources


def test_a_year_may_stand_in_the_name(mixed: Library) -> None:
    answer = ask(mixed, "Welche Dokumente stammen aus dem Jahr 2019?")
    assert first(answer) == (
        "The library has 1 document dated 2019, by the file, the mail, the title or the file name:"
    )


def test_whether_there_are_files_of_a_kind(mixed: Library) -> None:
    answer = ask(mixed, "Do you have any PDFs?")
    assert (answer["text"], answer["short_answer"]) == ("The library has no PDFs.", "no")
    answer = ask(mixed, "Do you have any mails?")
    assert (first(answer), answer["short_answer"]) == ("Yes: the library has 2 e-mails:", "yes")
    assert ask(mixed, "How many mails are there?")["short_answer"] == "2"
    assert first(ask(mixed, "What's new?")) == "The 5 newest documents:"


@pytest.mark.parametrize(
    "question",
    [
        "Which mails are from Bernard?",
        "Which documents are in French?",
        "Which documents are from 1999?",
        "Do we have a policy on gifts?",
        "Is there a policy on the kitchen?",
        "Do we have a canteen?",
        "In which documents are sharks mentioned?",
    ],
)
def test_what_is_not_there_may_stand_in_a_document(mixed: Library, question: str) -> None:
    assert ordinary(mixed, question)


@pytest.mark.parametrize("question", ["How many mails are there?", "What is the newest mail?"])
def test_without_mails_those_in_the_documents_are_meant(estate: Estate, question: str) -> None:
    assert ordinary(estate.library, question)


def test_folders_are_found_however_they_are_spelt(library: Library, tmp_path: Path) -> None:
    estate = Estate(tmp_path / "home" / "Files", library)
    decomposed = unicodedata.normalize("NFD", "Verträge")
    for name in ("Übergabe/plan.txt", f"{decomposed}/acme.txt", "else/tea.txt"):
        estate.write(name, f"The plan of {name.split('/')[1]}.")
    estate.sync()
    answer = ask(library, "Welche Dokumente liegen im Ordner Übergabe?")
    assert listed(answer) == ["Übergabe/plan.txt"]
    assert listed(ask(library, "List the documents in the folder übergabe")) == listed(answer)
    answer = ask(library, "List the documents in the folder Verträge")
    assert listed(answer) == [f"{decomposed}/acme.txt"]
    # of where the synced folder lies only its own name counts
    assert ordinary(library, "List the documents in the folder home")
    assert len(listed(ask(library, "List the documents in the folder files"))) == 3


def test_a_narrow_question_is_answered_from_all_its_passages(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = Estate(tmp_path / "files", library)
    for n in range(5):
        estate.write(f"a/{n}.txt", f"Leave leave leave leave {n}.")
    estate.write(
        "b/one.txt", "About cranes, prices, plants and fire, and also leave is named once."
    )
    estate.sync()
    monkeypatch.setattr(inventory_finding, "MOST_PASSAGES", 1)
    question = "Do you have any documents on leave in the folder b?"
    assert listed(ask(library, question)) == ["b/one.txt"]
    only = Filters(folder="b")
    answer = ask(library, "How many documents do you have on leave?", filters=only)
    assert answer["short_answer"] == "1"
    # where even those are too many, it is said that not all were looked at
    monkeypatch.setattr(inventory_finding, "EXACT_LIMIT", 0)
    monkeypatch.setattr(inventory, "MOST_PASSAGES", 1)
    answer = ask(library, question)
    assert answer["short_answer"] is None
    assert first(answer) == (
        "No document in the folder “b” of those asked has any of the first 1 passages with all "
        "words of “leave”; there may be more, which were not looked at."
    )
    assert ask(library, "How many documents do you have on leave?")["short_answer"] is None


def test_titles_are_looked_at_whatever_other_names_there_are(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aé", "bé", "cé", "tea policy"):
        add_text(library, f"{name}.txt", f"Nothing of it, {name}.")
    read_all(library)
    monkeypatch.setattr(inventory_finding, "MOST_PASSAGES", 2)
    answer = ask(library, "Do you have the tea policy?")
    assert (answer["short_answer"], listed(answer)) == ("yes", ["tea policy.txt"])


def test_a_document_is_cited_with_its_own_passage(library: Library) -> None:
    long = "".join(f"Rule {n}: tea number {n} is drunk hot by all of us.\n\n" for n in range(200))
    create_collection(library.catalog, "other")
    ids = [add_text(library, "a.txt", long), add_text(library, "b.txt", long, "other")]
    read_all(library)
    some = live_chunks(library.catalog, None, "fake")[0]
    firsts = passages_of(library.catalog, dict.fromkeys(ids, ""))
    assert {passage.start for passage in firsts.values()} == {0}
    other = next(name for name in some if name != firsts[ids[0]].chunk_id)
    found = passages_of(library.catalog, {ids[0]: other, ids[1]: ""})
    assert found[ids[0]].chunk_id == other
    assert found[ids[1]].start == 0
    assert passages_of(library.catalog, {ids[0]: "none", "doc_none": ""}) == {}


def test_where_all_that_was_found_goes_the_answer_says_so(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(library, "a.txt", "Tea is hot.")
    read_all(library)
    monkeypatch.setattr(inventory, "passages_of", lambda *_: {})
    for question in ("How many documents mention tea?", "Which documents do you have on tea?"):
        answer = ask(library, question)
        assert "taken out of the library" in answer["text"]
        assert len(answer["sentences"]) == 1
        assert (answer["short_answer"], answer["citations"]) == (None, [])


def test_a_follow_up_asks_on(estate: Estate) -> None:
    turn = Turn("Which documents do you have on travel?", "…")
    answer = ask(estate.library, "and on leave?", history=(turn,))
    assert listed(answer) == ["hr/handbook.txt"]
    assert answer["standalone_question"] == "Which documents do you have on travel? and on leave?"
    # one that stands alone is not mixed with what was asked before
    answer = ask(estate.library, "How many documents are there?", history=(turn,))
    assert answer["standalone_question"] == "How many documents are there?"


def test_no_llm_is_waited_for(estate: Estate) -> None:
    begun = time.perf_counter()
    ask(estate.library, "Which documents do you have on travel?")
    assert time.perf_counter() - begun < 2
    with pytest.raises(Busy):
        estate.library.ask(Question("How much is a trip by train?"))


def test_without_indexes_the_catalog_answers_still(tmp_path: Path) -> None:
    library = Library(fake_settings(tmp_path))
    try:
        assert ask(library, "How many documents are there?")["text"] == (
            "The library has no documents yet."
        )
        assert first(ask(library, "What is the newest document?")).startswith("The library has no")
        with pytest.raises(Busy):
            library.ask(Question("Which documents do you have on travel?"))
    finally:
        library.close()


def test_an_empty_library_says_so_and_what_waits(library: Library) -> None:
    assert ask(library, "List all documents")["text"] == "The library has no documents yet."
    assert first(ask(library, "Which documents do you have on tea?")) == (
        "No document mentions “tea”."
    )
    add_text(library, "a.txt", "Tea is in the kitchen.")
    assert ask(library, "How many documents are there?")["text"] == (
        "The library has no documents.\n1 more is waiting to be read."
    )
    add_text(library, "b.pdf", b"%PDF-1.4 nothing of it can be read")
    read_all(library)
    assert ask(library, "How many documents are there?")["text"] == (
        "The library has 1 document.\n1 could not be read; the library page says why."
    )


def test_what_was_deleted_is_not_counted_nor_named(library: Library) -> None:
    ids = [add_text(library, f"{name}.txt", f"Tea is {name}.") for name in ("hot", "cold", "nice")]
    read_all(library)
    before = ask(library, "Which documents do you have on tea?")
    assert len(listed(before)) == 3
    remove(library.catalog, ids[1])
    assert ask(library, "How many documents are there?")["short_answer"] == "2"
    after = ask(library, "Which documents do you have on tea?")
    assert set(listed(after)) == {"hot.txt", "nice.txt"}
    assert "cold" not in str(after)
    # the answer that named it has gone with it
    with pytest.raises(NotFound):
        read_answer(library.catalog, before["id"])


def test_what_goes_while_it_is_listed_is_not_named(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [add_text(library, f"{name}.txt", f"Tea is {name}.") for name in ("hot", "cold")]
    read_all(library)
    going, listing = ids[1:], inventory_whole.list_holdings

    def late(*given: Any) -> Any:
        found = listing(*given)
        while going:
            remove(library.catalog, going.pop())
        return found

    monkeypatch.setattr(inventory_whole, "list_holdings", late)
    answer = ask(library, "List all documents")
    assert answer["text"] == "The library has 1 document:\nhot.txt [1]"


def test_a_long_list_is_cut_and_says_so(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(12):
        add_text(library, f"{n:02}.txt", f"Tea number {n}.")
    read_all(library)
    answer = ask(library, "List all documents")
    assert first(answer) == "The library has 12 documents; the first 10 are:"
    assert listed(answer) == [f"{n:02}.txt" for n in range(10)]
    answer = ask(library, "Which documents do you have about tea?")
    assert first(answer) == "12 documents mention “tea”; the first 10 are:"
    assert len(listed(answer)) == 10
    answer = ask(library, "How many documents mention tea?")
    assert (answer["short_answer"], len(listed(answer))) == ("12", 10)
    # not every passage is looked at where there are very many
    monkeypatch.setattr(inventory_finding, "MOST_PASSAGES", 11)
    assert first(ask(library, "Which documents mention tea?")).startswith("At least 11 documents")


def test_names_of_documents_are_text(library: Library) -> None:
    title = "Read [1] <b>this</b>\x1b[31m" + " and that" * 30
    page = f"<html><head><title>{title}</title></head><body><p>Tea is hot.</p></body></html>"
    add_text(library, "a.html", page)
    read_all(library)
    answer = ask(library, "List all documents")
    line = answer["text"].splitlines()[1]
    assert line.count("[1]") == 1
    assert line.startswith("Read (1)")
    assert len(line) < 200


def test_the_same_bytes_twice_are_two_documents(library: Library) -> None:
    create_collection(library.catalog, "other")
    add_text(library, "a.txt", "Tea is hot.")
    add_text(library, "b.txt", "Tea is hot.", "other")
    add_text(library, "letter.eml", bytes(mail("Tea", "See below.", {"tea.txt": "Tea is hot."})))
    read_all(library)
    answer = ask(library, "Which documents mention hot tea?")
    assert sorted(listed(answer)) == ["a.txt", "b.txt", "letter.eml/tea.txt"]
    assert len({c["document_id"] for c in answer["citations"]}) == 3
    assert listed(ask(library, "Which documents mention hot tea?", collections=("other",))) == [
        "b.txt"
    ]


def test_the_command_answers_without_loading_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Library, "load", lambda *_, **__: pytest.fail("nothing need be loaded"))
    arguments = ["--home", str(tmp_path), "ask", "How many documents are there?"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "The library has no documents yet.\n" in done.stdout
    assert "from the catalog, 0." in done.stdout
    assert "Looking into the catalog" in done.stderr


@pytest.mark.parametrize(
    ("question", "llm"),
    [
        ("Which documents mention sharks?", True),
        ("List the files in the config directory", True),
        ("Which documents do you have on sharks?", False),
    ],
)
def test_the_command_loads_the_llm_where_the_passages_may_be_asked(
    question: str, llm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(Library, "load", lambda _, llm: loaded.append(llm))
    CliRunner().invoke(main, ["--home", str(tmp_path), "ask", question])
    assert loaded == [llm]
