"""One table of settings: precedence, types, unknown keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UnknownSetting, UsageError
from rag.settings import load_settings, setting_rows


def test_the_file_beats_the_default_the_environment_the_file_the_command_line_all(
    tmp_path: Path,
) -> None:
    (tmp_path / "cloister.toml").write_text("[server]\nport = 1\nthreads = 2\n[llm]\nqueue = 3\n")
    environ = {"CLOISTER_SERVER_THREADS": "20", "CLOISTER_LLM_QUEUE": "30", "OTHER": "x"}
    settings = load_settings({"home": tmp_path, "llm_queue": 300, "server_host": None}, environ)
    assert (settings.server_port, settings.server_threads, settings.llm_queue) == (1, 20, 300)
    assert settings.server_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "near"),
    [("[server]\nprot = 1\n", "server.port"), ("[llm]\nmodle = 'x'\n", "llm.model")],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, near: str) -> None:
    (tmp_path / "cloister.toml").write_text(text)
    with pytest.raises(UnknownSetting, match=near):
        load_settings({"home": tmp_path}, {})


def test_an_unknown_variable_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownSetting, match="CLOISTER_SERVER_PORT"):
        load_settings({"home": tmp_path}, {"CLOISTER_SERVER_PROT": "1"})


def test_a_wrong_type_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"server\.port must be of type int, not 'many'"):
        load_settings({"home": tmp_path}, {"CLOISTER_SERVER_PORT": "many"})


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "cloister.toml").write_text("[server\n")
    with pytest.raises(UsageError, match=r"cloister\.toml cannot be read"):
        load_settings({"home": tmp_path}, {})


def test_paths_from_the_environment(tmp_path: Path) -> None:
    environ = {"CLOISTER_HOME": str(tmp_path), "CLOISTER_MODELS": str(tmp_path / "m")}
    settings = load_settings(environ=environ)
    assert (settings.home, settings.models_path) == (tmp_path, tmp_path / "m")


def test_every_setting_has_a_help() -> None:
    rows = list(setting_rows())
    assert len({name for name, *_ in rows}) == len(rows) > 20
    assert all(text.endswith(".") for *_, text in rows)
