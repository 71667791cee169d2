"""One table of settings: precedence, types, unknown keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UnknownSetting, UsageError
from rag.settings import Settings, load_settings, setting_rows


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


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CLOISTER_INGEST_OCR", "on", r"ingest\.ocr must be auto or off, not 'on'"),
        ("CLOISTER_LLM_PRECISION", "int3", r"llm\.precision must be auto, .* or int4"),
        ("CLOISTER_LLM_TEMPLATE", "llama-2", r"llm\.template must be auto, .*llama2.* or plain"),
        ("CLOISTER_INGEST_PARSERS", "-1", r"ingest\.parsers must be at least 0, not -1"),
        ("CLOISTER_SYNC_REMOVED_SHARE", "50", r"sync\.removed_share must be at most 1, not 50"),
        ("CLOISTER_SYNC_REMOVED_SHARE", "nan", r"sync\.removed_share must be at least 0"),
        ("CLOISTER_RETRIEVAL_AROUND", "-1", r"retrieval\.around must be at least 0, not -1"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_told(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        load_settings({"home": tmp_path}, {name: value})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("models = 3\n", "models must be of type"),
        ("[ingest]\nparsers = 2.9\n", r"ingest\.parsers must be of type int, not 2\.9"),
        ("[llm]\nqueue = inf\n", r"llm\.queue must be of type int"),
    ],
)
def test_a_value_in_the_file_that_is_no_such_thing_is_told(
    tmp_path: Path, line: str, told: str
) -> None:
    (tmp_path / "cloister.toml").write_text(line)
    with pytest.raises(UsageError, match=told):
        load_settings({"home": tmp_path}, {})


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


@pytest.mark.parametrize(
    ("given", "cores", "parsers"), [(0, 1, 2), (0, 2, 2), (0, 12, 6), (0, 64, 8), (1, 64, 1)]
)
def test_half_of_the_cores_parse(
    monkeypatch: pytest.MonkeyPatch, given: int, cores: int, parsers: int
) -> None:
    monkeypatch.setattr("rag.settings.usable_cores", lambda: cores)
    assert Settings(ingest_parsers=given).parsers == parsers
