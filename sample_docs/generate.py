"""Generates the binary documents of the sample library from their text sources.

``python sample_docs/generate.py`` writes the PDF, DOCX, PPTX and XLSX files of
``sample_docs/library`` from ``sample_docs/sources``. Two runs give the same bytes.
With ``--check`` nothing is written there; the exit status is 1 if a file differs.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from builders.markup import Source, read_source  # noqa: E402
from builders.pdf import build_pdf  # noqa: E402
from builders.sheets import build_xlsx  # noqa: E402
from builders.slides import build_pptx  # noqa: E402
from builders.word import build_docx  # noqa: E402

SOURCES = HERE / "sources"
LIBRARY = HERE / "library"
SOURCE_SUFFIX = ".src.txt"
BUILDERS: dict[str, Callable[[Source, Path], None]] = {
    ".pdf": build_pdf,
    ".docx": build_docx,
    ".pptx": build_pptx,
    ".xlsx": build_xlsx,
}


def targets() -> dict[str, Path]:
    """Return the source file of every generated document, by the document's library path."""
    paths = sorted(SOURCES.rglob(f"*{SOURCE_SUFFIX}"))
    return {p.relative_to(SOURCES).as_posix().removesuffix(SOURCE_SUFFIX): p for p in paths}


def generate(folder: Path) -> list[str]:
    """Write all generated documents below a folder and return their library paths."""
    names = targets()
    for name, source in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        BUILDERS[path.suffix](read_source(source), path)
    return list(names)


def differences(folder: Path) -> list[str]:
    """Return the library paths whose file below a folder is missing or differs."""
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        return [name for name in generate(fresh) if not _same(fresh / name, folder / name)]


def _same(first: Path, second: Path) -> bool:
    """Tell whether both files exist and have the same bytes."""
    return second.is_file() and first.read_bytes() == second.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description="Generate the sample documents.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if different")
    parser.add_argument("--out", type=Path, default=LIBRARY, help="folder to write or compare")
    options = parser.parse_args(arguments)
    if options.check:
        different = differences(options.out)
        for name in different:
            print(f"differs: {name}")
        return 1 if different else 0
    for name in generate(options.out):
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
