"""Scans and images: text read from pixels, and where it stands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingest.parsers import ocr
from ingest.parsers.ocr_order import reading_order
from ingest.parsers.pdf_lines import Line, Word
from ingest.sandbox import Sandbox
from rag.errors import CorruptDocument, EmptyDocument, ParserStopped, UnsupportedFormat
from rag.parsed import Box, Page
from tests.ingest.parsed import blocks, check, read

if TYPE_CHECKING:
    from PIL.Image import Image

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1000, 700
LETTER = [
    (60, 40, "Delivery note", 60),
    (60, 160, "The pump was delivered on 12 March", 32),
    (60, 210, "and paid in full by the customer.", 32),
    (60, 330, "Order number 4711-A", 32),
]


@pytest.fixture(autouse=True)
def _allowance() -> Iterator[None]:
    ocr.allow(500, lambda: None)
    yield
    ocr.allow(500, lambda: None)


def picture(*lines: tuple[int, int, str, int], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image:
    """Lines of text drawn at their left top corner, in a size in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for x, y, text, height in lines:
        draw.text((x, y), text, "black", ImageFont.load_default(height))
    return image


def scan(path: Path, *images: Image, text: str = "") -> Path:
    """A PDF of images, each on a page of its own; `text` stands on a last page as text."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=(500, 350))
    for image in images:
        canvas.drawImage(ImageReader(image), 0, 0, 500, 350)
        canvas.showPage()
    if text:
        canvas.drawString(30, 300, text)
        canvas.showPage()
    canvas.save()
    return path


def place(page: Page, word: str) -> Box:
    return next(p.box for p in page.places if page.text[p.start : p.end] == word)


def is_letter(page: Page) -> None:
    """Whether the page holds LETTER, each word where it was drawn."""
    assert blocks(page) == [
        ("heading", "Delivery note"),
        ("paragraph", "The pump was delivered on 12 March and paid in full by the customer."),
        ("paragraph", "Order number 4711-A"),
    ]
    x0, y0, x1, y1 = place(page, "pump")
    assert x0 == pytest.approx(127 / WIDTH, abs=0.02)
    assert x1 == pytest.approx(205 / WIDTH, abs=0.02)
    assert 150 / HEIGHT < y0 < 170 / HEIGHT
    assert 185 / HEIGHT < y1 < 210 / HEIGHT
    assert place(page, "number")[0] > place(page, "Order")[2] - 0.01


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(*LETTER).save(path)
    parsed = read(path)
    assert len(parsed.pages) == 1
    is_letter(parsed.pages[0])


def test_a_scanned_page_among_others(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.pdf", picture(*LETTER), text="This page was typed, not scanned.")
    parsed = read(path)
    is_letter(parsed.pages[0])
    assert parsed.pages[1].text == "This page was typed, not scanned."
    assert (parsed.pages[0].width, parsed.pages[0].height) == (500, 350)


def test_pages_with_text_are_not_read_again(tmp_path: Path) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(500, 350))
    canvas.drawImage(ImageReader(picture(*LETTER)), 0, 0, 500, 350)
    canvas.drawString(30, 10, "Words enough to be a page's text")
    canvas.save()
    ocr.allow(1, lambda: pytest.fail("OCR was begun"))
    assert read(tmp_path / "a.pdf").pages[0].text == "Words enough to be a page's text"


def test_a_turned_page(tmp_path: Path) -> None:
    import pypdfium2
    from PIL import Image

    turned = picture(*LETTER, size=(1000, 700)).transpose(Image.Transpose.ROTATE_90)
    document = pypdfium2.PdfDocument(scan(tmp_path / "a.pdf", turned.resize((1000, 700))))
    document[0].set_rotation(90)
    document.save(str(tmp_path / "b.pdf"))
    document.close()
    page = read(tmp_path / "b.pdf").pages[0]
    assert "delivered on 12 March" in page.text
    assert place(page, "Delivery")[1] < place(page, "Order")[1]


def test_a_tiff_of_many_pages(tmp_path: Path) -> None:
    images = [picture((60, 60, f"Fax page {name}", 48)) for name in ("one", "two")]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    assert [page.text for page in read(tmp_path / "a.tif").pages] == [
        "Fax page one",
        "Fax page two",
    ]


def test_a_photo_lying_on_its_side_by_its_own_account(tmp_path: Path) -> None:
    from PIL import Image

    image = picture(*LETTER)
    exif = image.getexif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif)
    is_letter(read(tmp_path / "a.jpg").pages[0])


def test_black_on_nothing(tmp_path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGBA", (600, 120), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((20, 20), "On clear ground", "black", ImageFont.load_default(48))
    image.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").pages[0].text.startswith("On clear")


def test_an_image_without_text(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    with pytest.raises(EmptyDocument, match=r"No text was found in the image “a.png”"):
        read(tmp_path / "a.png")
    with pytest.raises(EmptyDocument, match="1 page but no text, nor did OCR find any"):
        read(scan(tmp_path / "a.pdf", picture()))


def test_a_tiny_image(tmp_path: Path) -> None:
    picture(size=(1, 1)).save(tmp_path / "a.png")
    with pytest.raises(EmptyDocument):
        read(tmp_path / "a.png")


def test_turned_off(tmp_path: Path) -> None:
    ocr.allow(0, lambda: None)
    picture(*LETTER).save(tmp_path / "a.png")
    with pytest.raises(UnsupportedFormat, match=r"turned off by ingest\.ocr"):
        read(tmp_path / "a.png")
    with pytest.raises(EmptyDocument, match=r"OCR is turned off by ingest\.ocr"):
        read(scan(tmp_path / "a.pdf", picture(*LETTER)))


def test_scans_beside_text_are_noted_where_ocr_is_off(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.pdf", picture(*LETTER), text="The text of the last page.")
    assert read(path).unread == ()
    ocr.allow(0, lambda: None)
    parsed = read(path)
    assert [bool(page.text) for page in parsed.pages] == [False, True]
    assert parsed.unread == (1,)


def test_more_pages_than_are_allowed(tmp_path: Path) -> None:
    begun: list[int] = []
    ocr.allow(2, lambda: begun.append(1))
    path = scan(tmp_path / "a.pdf", *[picture((60, 60, "Page", 48))] * 3)
    with pytest.raises(ParserStopped, match=r"more than 2 pages.*ingest\.ocr_pages"):
        read(path)
    assert len(begun) == 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_truncated_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(*LETTER).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(CorruptDocument, match=f"“a.{suffix}” is damaged"):
        read(path)


def test_an_image_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(CorruptDocument, match="is not an image"):
        read(tmp_path / "a.png")


def test_an_enormous_image(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 100_000
    with pytest.raises(CorruptDocument, match=r"400,000,000 pixels|DecompressionBomb"):
        read(tmp_path / "a.png")


# --- order and sizes


def line(x: float, y: float, width: float, text: str = "x") -> Line:
    box = (x, y, x + width, y + 10)
    return Line([Word(text, box)], box, 8.0, False)


def test_columns_are_read_one_after_the_other() -> None:
    title, foot = line(50, 20, 480, "title"), line(50, 300, 480, "foot")
    left = [line(50, 60 + 12 * i, 220, f"l{i}") for i in range(8)]
    right = [line(310, 62 + 12 * i, 220, f"r{i}") for i in range(8)]
    mixed = [part for pair in zip(right, left, strict=True) for part in pair]
    assert reading_order([foot, *mixed, title], 600) == [title, *left, *right, foot]


def test_cells_are_read_row_by_row() -> None:
    cells = [[line(x, 60 + 20 * i, 40, f"{i}{x}") for x in (50, 200, 400)] for i in range(8)]
    flat = [cell for row in cells for cell in row]
    assert reading_order(flat[::-1], 600) == flat


def test_parts_of_a_line_are_joined() -> None:
    (joined,) = reading_order([line(95, 61, 40, "b"), line(50, 60, 40, "a")], 600)
    assert joined.text == "a b"
    assert joined.box == (50, 60, 135, 71)


# --- in the sandbox


def test_in_the_sandbox(tmp_path: Path) -> None:
    picture(*LETTER).save(tmp_path / "a.png")
    with Sandbox() as sandbox:
        parsed = sandbox.parse(tmp_path / "a.png", "a.png", "image")
    check(parsed)
    is_letter(parsed.pages[0])


def test_off_in_the_sandbox(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.pdf", picture(*LETTER))
    with Sandbox(ocr_pages=0) as sandbox, pytest.raises(EmptyDocument, match="turned off"):
        sandbox.parse(path, "a.pdf", "pdf")


def test_nothing_is_fetched_written_or_reported(tmp_path: Path) -> None:
    """The system's own record of a whole reading shows no connection and no new file."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    picture(*LETTER[:1], size=(500, 120)).save(tmp_path / "a.png")
    code = (
        "import sys; from pathlib import Path; from ingest.parsers.image import parse\n"
        "print(parse(Path(sys.argv[1]), 'a.png').pages[0].text)\n"
    )
    calls = "connect,sendto,sendmsg,mkdir,rename,unlink"
    record = tmp_path / "record"
    done = subprocess.run(
        [
            *(strace, "-f", "-qq", "-e", f"trace={calls}", "-o", str(record)),
            *(sys.executable, "-B", "-c", code, str(tmp_path / "a.png")),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "Delivery note" in done.stdout, done.stderr[-2000:]
    assert "telemetry" not in done.stderr
    assert [line for line in record.read_text().splitlines() if "(" in line] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "record"]
