"""The command `cloister`: lazy, explains its errors, exit codes."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rag import __version__, cli
from rag.cli import GROUP, SHORT_HELPS, main
from rag.errors import Busy

HEAVY = ("torch", "transformers", "sentence_transformers", "chromadb", "llama_index", "numpy")
ROOT = Path(__file__).resolve().parent.parent.parent


def clean_process(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from rag.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert end.code == 0, end.code
heavy = [name for name in {HEAVY!r} + ("sqlalchemy", "flask") if name in sys.modules]
print("HEAVY", heavy)
"""
    assert clean_process(code).splitlines()[-1] == "HEAVY []"


def test_help_imports_no_command() -> None:
    code = """
import sys
from rag.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
names = [n for n in sys.modules if n.split(".")[0] in ("ingest", "web") or "commands" in n]
print("IMPORTED", names)
"""
    shown = clean_process(code)
    assert shown.splitlines()[-1] == "IMPORTED []"
    for name, line in SHORT_HELPS.items():
        assert name in shown
        assert line.split()[0] in shown


def test_every_entry_point_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["entry-points"][GROUP]) == set(SHORT_HELPS)
    assert project["version"] == __version__


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three commands of a package of someone else."""
    points = {
        name: EntryPoint(name, f"{__name__}:{name}_command", GROUP)
        for name in ("busy", "interrupted", "settings")
    }
    monkeypatch.setattr(cli, "_entry_points", lambda: points)


@click.command()
@click.option("--json", "as_json", is_flag=True)
def busy_command(as_json: bool) -> None:
    raise Busy("Someone else is at work.")


@click.command()
def interrupted_command() -> None:
    raise KeyboardInterrupt


@click.command()
@click.pass_obj
def settings_command(settings: object) -> None:
    click.echo(getattr(settings, "home"))  # noqa: B009


@pytest.mark.usefixtures("commands")
class TestErrors:
    def test_an_error_is_a_line_and_an_exit_code(self) -> None:
        result = CliRunner().invoke(main, ["busy"])
        assert (result.exit_code, result.stdout) == (75, "")
        assert result.stderr == "Error: Someone else is at work.\n"

    def test_with_json_it_is_one_json_line_too(self) -> None:
        result = CliRunner().invoke(main, ["busy", "--json"])
        assert json.loads(result.stdout) == {
            "error": {"code": "busy", "message": "Someone else is at work.", "exit_code": 75}
        }
        assert result.stdout.count("\n") == 1

    def test_wrong_usage_exits_2(self) -> None:
        result = CliRunner().invoke(main, ["busy", "--wrong", "--json"])
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == "usage-error"
        assert "No such option" in result.stderr

    def test_an_unknown_command_exits_2(self) -> None:
        result = CliRunner().invoke(main, ["nothing"])
        assert result.exit_code == 2
        assert "No such command 'nothing'" in result.stderr

    def test_ctrl_c_exits_130(self) -> None:
        assert CliRunner().invoke(main, ["interrupted"]).exit_code == 130

    def test_a_wrong_setting_exits_2_but_help_still_helps(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLOISTER_LLM_MODLE", "x")
        result = CliRunner().invoke(main, ["settings"])
        assert result.exit_code == 2
        assert "CLOISTER_LLM_MODEL" in result.stderr
        assert CliRunner().invoke(main, ["settings", "--help"]).exit_code == 0

    def test_home_reaches_the_command_and_its_children(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(main, ["--home", str(tmp_path), "settings"])
        assert result.stdout == f"{tmp_path}\n"

    def test_a_foreign_command_is_listed(self) -> None:
        assert "interrupted" in CliRunner().invoke(main, ["--help"]).stdout


class TestModels:
    def test_list_of_an_empty_folder(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(main, ["--home", str(tmp_path), "models", "list", "--json"])
        assert json.loads(result.stdout)["models"] == []
        plain = CliRunner().invoke(main, ["--home", str(tmp_path), "models", "list"])
        assert "cloister models add starter" in plain.stderr

    def test_list_of_the_starter_pair(self, models_path: Path, tmp_path: Path) -> None:
        result = CliRunner(env={"CLOISTER_MODELS": str(models_path)}).invoke(
            main, ["--home", str(tmp_path), "models", "list", "--json"]
        )
        rows = {row["name"]: row for row in json.loads(result.stdout)["models"]}
        llm = rows["SmolLM2-135M-Instruct"]
        assert (llm["task"], llm["licence"], llm["in_use"]) == ("llm", "Apache-2.0", True)
        assert llm["bytes"] > 269_000_000
        assert rows["all-MiniLM-L6-v2"]["task"] == "embedder"

    def test_add_starter_where_it_is_already(self, models_path: Path, tmp_path: Path) -> None:
        result = CliRunner(env={"CLOISTER_MODELS": str(models_path)}).invoke(
            main, ["--home", str(tmp_path), "models", "add", "starter", "--json"]
        )
        assert result.exit_code == 0
        assert len(json.loads(result.stdout)["models"]) == 2
        assert "already here" in result.stderr


@pytest.mark.parametrize(
    ("code", "told"), [(errno.ENOSPC, "The disk is full"), (errno.EIO, "cannot be written")]
)
def test_a_failing_disk_is_explained_whoever_meets_it(
    code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(code, "what the system says")

    monkeypatch.setattr("rag.library.open_catalog", fail)
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "ingest", "status", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "storage-error"
    assert told in result.stderr
