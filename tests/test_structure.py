"""The house rules: what may import what, and what must not be loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "sentence_transformers", "chromadb", "llama_index")
LAYERS = {"rag": 0, "ingest": 1, "web": 2}

CLEAN = """
import sys
{code}
heavy = [name for name in {heavy} if name in sys.modules]
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "code",
    [
        "import rag, ingest, web",
        "import rag.library, ingest.cli, ingest.worker, ingest.sync, web.app, web.cli",
        "from web.app import create_app; from pathlib import Path; import tempfile\n"
        "from rag.settings import Settings\n"
        "create_app(settings=Settings(home=Path(tempfile.mkdtemp())))",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    script = CLEAN.format(code=code, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
    return found


def test_imports_go_from_web_to_ingest_to_rag() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for layer, height in LAYERS.items()
        for path in (ROOT / layer).rglob("*.py")
        for name in _imports(path)
        if LAYERS.get(name.split(".")[0], -1) > height
    ]
    assert wrong == []


def test_no_module_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 400} == {}
    middle = sorted(lengths.values())[len(lengths) // 2]
    assert middle < 150
