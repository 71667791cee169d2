"""`cloister.toml` changed line by line: nothing else in it moves."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.settings_file import change_settings, changed

USED = {"llm.model": "org/new", "llm.adapter": ""}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[llm]\nmodel = "org/new"\n'),
        ("# mine\nquestion = 1", '# mine\nquestion = 1\n\n[llm]\nmodel = "org/new"\n'),
        (
            '# ours\n[llm]  # the LLM\n# chosen in May\nmodel = "old"   # because it fits\n'
            'adapter = "a"\nprecision = "auto"\n\n[server]\nport = 1\n',
            '# ours\n[llm]  # the LLM\n# chosen in May\nmodel = "org/new"   # because it fits\n'
            'precision = "auto"\n\n[server]\nport = 1\n',
        ),
        (
            '[llm]\ntemperature = 0.5\n[server]\nmodel = "no"\n',
            '[llm]\nmodel = "org/new"\ntemperature = 0.5\n[server]\nmodel = "no"\n',
        ),
        ("[llm]", '[llm]\nmodel = "org/new"\n'),
        ("llm.model = 'old' # x\n", 'llm.model = "org/new" # x\n'),
        ('llm.adapter = "a"\n[server]\n', '[server]\n\n[llm]\nmodel = "org/new"\n'),
        ('[ "llm" ]\n"model" = "a#b"\n', '[ "llm" ]\n"model" = "org/new"\n'),
        ('[llm]\r\nmodel = "old"\r\n', '[llm]\r\nmodel = "org/new"\r\n'),
        ('[llm]\n#model = "no"\n', '[llm]\nmodel = "org/new"\n#model = "no"\n'),
        ('[llm]\nmodel="\\"#"#c\n', '[llm]\nmodel="org/new"#c\n'),
    ],
)
def test_only_the_setting_changes(before: str, after: str) -> None:
    assert changed(before, USED) == after
    assert tomllib.loads(after)["llm"]["model"] == "org/new"
    assert changed(after, USED) == after


@pytest.mark.parametrize(
    "text",
    [
        'llm = {model = "old", adapter = "a"}\n',
        'x = """\n[llm]\n"""\nllm = {}\n',
        '[llm]\nmodel = """old"""\n',
        '[server]\nx = """\n[llm]\nmodel = "old"\n"""\n',
    ],
)
def test_what_lines_do_not_tell_is_left_to_a_person(text: str) -> None:
    with pytest.raises(UsageError, match=r"by hand: llm\.model = \"org/new\""):
        changed(text, USED)


def test_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cloister.toml").write_text("[llm\n")
    with pytest.raises(UsageError, match="Mend that line"):
        change_settings(tmp_path, USED)
    assert (tmp_path / "cloister.toml").read_text() == "[llm\n"


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "etc.toml"
    real.write_text("# kept\n")
    (tmp_path / "cloister.toml").symlink_to(real)
    change_settings(tmp_path, {"llm.model": "ä “x”\t\x7f"})
    assert (tmp_path / "cloister.toml").is_symlink()
    assert real.read_text().startswith("# kept\n")
    assert tomllib.loads(real.read_text())["llm"]["model"] == "ä “x”\t\x7f"
