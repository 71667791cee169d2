"""The table of families is what the tests showed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.rag.models.small import FAMILIES
from tools.families import PAGE, filled, shown_by, table

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase name="test_a[falcon-7b]"><properties>
<property name="family" value="Falcon"/><property name="architecture" value="FalconForCausalLM"/>
<property name="tokenizer" value="byte-level"/><property name="form" value="falcon"/>
<property name="loads" value="yes"/><property name="stops" value="\\n|User: "/>
</properties><failure message="no cites"/></testcase>
<testcase name="test_b[falcon-7b]"><properties><property name="int8" value="yes"/></properties>
</testcase>
<testcase name="test_b[phi-2]"><skipped message="not here"/></testcase>
<testcase name="test_other"/>
</testsuite></testsuites>""".replace("\\n", "&#10;")


def test_each_tick_is_what_a_test_noted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    shown = shown_by(tmp_path / "report.xml")
    assert list(shown) == ["falcon-7b"]
    text = table(shown, {"torch": "2"})
    assert text.startswith("1 models; torch 2.\n")
    assert text.splitlines()[-1] == (
        "| falcon-7b | Falcon | `FalconForCausalLM` | byte-level | falcon "
        "| ✓ | – | – | ✓ `⏎\\|User:` | – | ✓ | – | – |"
    )


def test_the_table_is_put_between_its_marks() -> None:
    page = "a\n<!-- families -->\nold\n<!-- /families -->\nb\n"
    assert filled(page, "new") == "a\n<!-- families -->\nnew\n<!-- /families -->\nb\n"


def test_the_page_has_every_family() -> None:
    rows = [
        line.split(" | ")[0][2:] for line in PAGE.read_text("utf-8").splitlines() if "✓" in line
    ]
    assert rows == list(FAMILIES)
