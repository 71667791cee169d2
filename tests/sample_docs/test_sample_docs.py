"""Tests of the sample documents and of the questions about them.

The documents are read here without the product: the tests must not lean on what the
sample documents are there to check.
"""

import csv
import email
import email.policy
import html
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import docx
import openpyxl
import pptx
import pypdfium2
import pytest
from bs4 import BeautifulSoup

SAMPLE_DOCS = Path(__file__).resolve().parents[2] / "sample_docs"
LIBRARY = SAMPLE_DOCS / "library"
GENERATOR = SAMPLE_DOCS / "generate.py"
GENERATED_SUFFIXES = {".pdf", ".docx", ".pptx", ".xlsx"}
ALL_SUFFIXES = GENERATED_SUFFIXES | {".csv", ".html", ".md", ".txt", ".eml"}
SMALLEST_COUNTS = {
    "fact": 90,
    "table": 45,
    "two_documents": 15,
    "follow_up": 60,
    "disagreement": 10,
    "unanswerable": 70,
}
FIELDS = {"id", "question", "answerable", "answers", "evidence", "kind", "split"}
CELL_BREAK = "\n"


def normalise(text: str) -> str:
    """Replace every run of white space with one space."""
    return re.sub(r"\s+", " ", text).strip()


def read_plain(path: Path) -> list[str]:
    """Return the text of a Markdown or plain text file."""
    return [path.read_text(encoding="utf-8")]


def read_csv(path: Path) -> list[str]:
    """Return the cells of a CSV file, each on a line of its own."""
    text = path.read_text(encoding="utf-8")
    delimiter = ";" if ";" in text.splitlines()[0] else ","
    rows = csv.reader(StringIO(text), delimiter=delimiter)
    return [CELL_BREAK.join(cell for row in rows for cell in row)]


def read_html(path: Path) -> list[str]:
    """Return the text of the main part of a page, without navigation and footer."""
    main = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("main")
    assert main is not None
    return [main.get_text(" ")]


def read_eml(path: Path) -> list[str]:
    """Return the plain text alternative of a message."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return [body.get_content()]


def read_pdf(path: Path) -> list[str]:
    """Return the text of every page."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def read_docx(path: Path) -> list[str]:
    """Return the paragraphs, table cells and footnotes."""
    document = docx.Document(str(path))
    texts = [paragraph.text for paragraph in document.paragraphs]
    texts += [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    with ZipFile(path) as package:
        if "word/footnotes.xml" in package.namelist():
            notes = package.read("word/footnotes.xml").decode("utf-8")
            texts.append(html.unescape(re.sub(r"<[^>]+>", " ", notes)))
    return [CELL_BREAK.join(texts)]


def read_pptx(path: Path) -> list[str]:
    """Return the texts, table cells and speaker notes of every slide."""
    pages = []
    for slide in pptx.Presentation(str(path)).slides:
        texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        tables = [shape.table for shape in slide.shapes if shape.has_table]
        texts += [cell.text for table in tables for row in table.rows for cell in row.cells]
        if slide.has_notes_slide:
            texts.append(slide.notes_slide.notes_text_frame.text)
        pages.append(CELL_BREAK.join(texts))
    return pages


def read_xlsx(path: Path) -> list[str]:
    """Return the cells of every sheet."""
    sheets = openpyxl.load_workbook(path).worksheets
    rows = [[cell for row in sheet.iter_rows(values_only=True) for cell in row] for sheet in sheets]
    return [CELL_BREAK.join(str(cell) for cell in cells if cell is not None) for cells in rows]


READERS: dict[str, Callable[[Path], list[str]]] = {
    ".csv": read_csv,
    ".docx": read_docx,
    ".eml": read_eml,
    ".html": read_html,
    ".md": read_plain,
    ".pdf": read_pdf,
    ".pptx": read_pptx,
    ".txt": read_plain,
    ".xlsx": read_xlsx,
}


@cache
def document_pages(source: str) -> tuple[str, ...]:
    """Return the text of every page of a library document, white space normalised."""
    path = LIBRARY / source
    return tuple(normalise(text) for text in READERS[path.suffix](path))


def library_files() -> list[Path]:
    """Return all documents of the library."""
    return sorted(path for path in LIBRARY.rglob("*") if path.is_file())


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator as a user would."""
    command = [sys.executable, str(GENERATOR), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def load_questions() -> list[dict[str, Any]]:
    """Return the question set."""
    lines = (SAMPLE_DOCS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


QUESTIONS = load_questions()
ANSWERABLE = [question for question in QUESTIONS if question["answerable"]]
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["id"])
each_answerable = pytest.mark.parametrize("question", ANSWERABLE, ids=lambda q: q["id"])


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Generate the binary documents twice, into two folders."""
    folders = (tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second"))
    for folder in folders:
        result = generate("--out", str(folder))
        assert result.returncode == 0, result.stderr
    return folders


def test_generator_gives_the_same_bytes_twice(generated: tuple[Path, Path]) -> None:
    first, second = generated
    names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_committed_binaries_are_the_generated_ones(generated: tuple[Path, Path]) -> None:
    folder = generated[0]
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    binaries = [path for path in library_files() if path.suffix in GENERATED_SUFFIXES]
    assert names == {path.relative_to(LIBRARY) for path in binaries}
    for name in names:
        assert (folder / name).read_bytes() == (LIBRARY / name).read_bytes(), name


def test_check_passes_for_an_unchanged_folder(generated: tuple[Path, Path]) -> None:
    assert generate("--check", "--out", str(generated[0])).returncode == 0


def test_check_names_a_changed_file(tmp_path: Path) -> None:
    assert generate("--out", str(tmp_path)).returncode == 0
    changed = tmp_path / "finance" / "budget_2025.xlsx"
    changed.write_bytes(changed.read_bytes() + b" ")
    result = generate("--check", "--out", str(tmp_path))
    assert result.returncode == 1
    assert "finance/budget_2025.xlsx" in result.stdout
    assert "legal/" not in result.stdout


def test_library_has_every_format_and_enough_documents() -> None:
    files = library_files()
    assert len(files) >= 14
    assert {path.suffix for path in files} == ALL_SUFFIXES
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_one_pdf_is_long_and_its_pages_differ() -> None:
    pages = document_pages("hr/employee_handbook.pdf")
    assert len(pages) >= 30
    assert len(set(pages)) == len(pages)


def test_mails_have_a_text_and_an_html_part() -> None:
    for path in LIBRARY.rglob("*.eml"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        kinds = {part.get_content_type() for part in message.walk()}
        assert {"text/plain", "text/html"} <= kinds, path.name


def test_the_disclaimer_is_repeated_across_documents() -> None:
    disclaimer = "not for distribution outside the cooperative"
    texts = [" ".join(document_pages(p.relative_to(LIBRARY).as_posix())) for p in library_files()]
    assert sum(disclaimer in text for text in texts) >= 8


@each_question
def test_question_has_the_right_shape(question: dict[str, Any]) -> None:
    assert set(question) - {"history"} == FIELDS
    assert re.fullmatch(r"q\d{3}", question["id"])
    assert question["question"].strip()
    assert question["kind"] in SMALLEST_COUNTS
    assert question["split"] in {"dev", "test"}
    if question["kind"] != "follow_up":
        assert question["answerable"] is (question["kind"] != "unanswerable")
    assert bool(question["answers"]) is question["answerable"]
    assert bool(question["evidence"]) is question["answerable"]
    assert all(isinstance(answer, str) and answer for answer in question["answers"])
    assert ("history" in question) is (question["kind"] == "follow_up")
    for turn in question.get("history", []):
        assert set(turn) == {"question", "answer"}
        assert all(turn.values())


@each_answerable
def test_evidence_is_found_on_its_page(question: dict[str, Any]) -> None:
    for evidence in question["evidence"]:
        assert set(evidence) == {"source", "page", "quote"}
        assert evidence["quote"] == normalise(evidence["quote"]) != ""
        page = document_pages(evidence["source"])[evidence["page"] - 1]
        assert evidence["page"] >= 1
        assert evidence["quote"] in page


@each_answerable
def test_first_answer_is_in_a_quote(question: dict[str, Any]) -> None:
    assert 1 <= len(question["answers"][0].split()) <= 8
    if question["kind"] != "two_documents":
        assert any(question["answers"][0] in e["quote"] for e in question["evidence"])


@each_answerable
def test_two_document_questions_and_only_they_need_two(question: dict[str, Any]) -> None:
    sources = {evidence["source"] for evidence in question["evidence"]}
    assert len(sources) == (2 if question["kind"] == "two_documents" else 1)


def test_ids_and_questions_are_unique() -> None:
    assert len({question["id"] for question in QUESTIONS}) == len(QUESTIONS)
    whole = {json.dumps([q["question"], q.get("history")]) for q in QUESTIONS}
    assert len(whole) == len(QUESTIONS)


def test_counts_of_the_kinds() -> None:
    assert len(QUESTIONS) >= 300
    counts = Counter(question["kind"] for question in QUESTIONS)
    for kind, smallest in SMALLEST_COUNTS.items():
        assert counts[kind] >= smallest, kind


@pytest.mark.parametrize("split", ["dev", "test"])
def test_both_splits_have_enough_of_everything(split: str) -> None:
    questions = [question for question in QUESTIONS if question["split"] == split]
    counts = Counter(question["kind"] for question in questions)
    assert set(counts) == set(SMALLEST_COUNTS)
    assert counts["unanswerable"] >= 15
    assert len(questions) - counts["unanswerable"] >= 35
    suffixes = {Path(e["source"]).suffix for q in questions for e in q["evidence"]}
    assert suffixes == ALL_SUFFIXES


def test_no_document_is_in_both_splits() -> None:
    splits = defaultdict(set)
    for question in ANSWERABLE:
        for evidence in question["evidence"]:
            splits[evidence["source"]].add(question["split"])
    assert all(len(names) == 1 for names in splits.values())
    documents = {path.relative_to(LIBRARY).as_posix() for path in library_files()}
    assert set(splits) == documents
