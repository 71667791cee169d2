"""The one table of settings: name, type, default, help.

Order of precedence, last wins: the default, `cloister.toml` in the data directory,
`CLOISTER_*` in the environment, the command line. `llm.max_new_tokens` in the file is
`CLOISTER_LLM_MAX_NEW_TOKENS` in the environment and `settings.llm_max_new_tokens` in Python.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from rag.cores import usable_cores
from rag.errors import UnknownSetting, UsageError
from rag.ranges import Range
from rag.setting_values import choices_in, converted

ENVIRONMENT_PREFIX = "CLOISTER_"
HOME_VARIABLE = "CLOISTER_HOME"


def _setting(
    default: Any,
    text: str,
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    rules = {"help": text, "choices": choices, "least": least, "most": most}
    return field(default=default, metadata=rules)


def _templates() -> tuple[str, ...]:
    # asked only where one is named: the file is not read at every start
    from rag.models.templates import AUTO, templates

    return AUTO, *templates()


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one library; `home` is its data directory."""

    home: Path = _setting(Path("data"), "Data directory.")
    models: Path | None = _setting(
        None, "Folder of the models; empty: models/ in the data directory."
    )
    hub_url: str = _setting(
        "",
        "Hub that `cloister models pull` asks, or its mirror in the building; empty: HF_ENDPOINT, "
        "else https://huggingface.co; none: no hub.",
    )

    server_host: str = _setting("127.0.0.1", "Address to serve on; loopback only as yet.")
    server_port: int = _setting(8000, "Port to serve on.", least=0)
    server_threads: int = _setting(
        32, "Requests served at once; each open stream holds one.", least=1
    )
    server_hosts: tuple[str, ...] = _setting(
        (), "Further host names the server answers to (localhost and loopback always)."
    )

    embedder_model: str = _setting(
        "all-MiniLM-L6-v2", "Embedder: a name in the models folder, a folder, or a fetched hub id."
    )
    embedder_device: str = _setting("auto", "auto, cpu, cuda or cuda:N.")
    embedder_precision: str = _setting(
        "auto",
        "auto, float32 or bfloat16; auto takes bfloat16 where a probe finds it faster.",
        choices=("auto", "float32", "bfloat16"),
    )
    embedder_batch: int = _setting(8, "Texts embedded at once.", least=1)

    llm_model: str = _setting(
        "SmolLM2-135M-Instruct",
        "LLM: a name in the models folder, a folder, or a fetched hub id; none: answer by quotes. "
        "With llm.url: the server's name of it, if it has several.",
    )
    llm_url: str = _setting(
        "",
        "OpenAI-compatible server on your premises that runs the LLM, as http://127.0.0.1:8080; "
        "empty: it runs here. See docs/servers.md.",
    )
    llm_allowed_hosts: tuple[str, ...] = _setting(
        (), "Addresses (host:port) that llm.url may lead to; this machine's loopback always."
    )
    llm_key_file: str = _setting("", "File that holds the key of the server at llm.url, if any.")
    llm_key_variable: str = _setting(
        "", "Environment variable that holds it instead; its name must not begin with CLOISTER_."
    )
    llm_ca_file: str = _setting(
        "", "PEM file of the authority of the server's certificate; empty: those of the system."
    )
    llm_context_tokens: int = _setting(
        4096, "Context length of the server's model, where the server does not tell it.", least=256
    )
    llm_connect_seconds: float = _setting(5.0, "Longest wait for a connection.", least=0.1)
    llm_first_token_seconds: float = _setting(
        120.0, "Longest wait for the server's first token.", least=0.1
    )
    llm_token_seconds: float = _setting(30.0, "Longest wait for each further one.", least=0.1)
    llm_answer_seconds: float = _setting(
        300.0, "Longest time for a whole answer of the server, further tries included.", least=0.1
    )
    llm_retries: int = _setting(
        3, "Further tries before the first token, where the server is busy or not there.", least=0
    )
    llm_adapter: str = _setting(
        "auto",
        "LoRA adapter of the LLM: auto takes Cloister's own where there is one for it; none; a "
        "name in the models folder, or a folder.",
    )
    llm_others: int = _setting(
        1,
        "Other LLMs that questions and collections may have loaded beside it, at once; their "
        "adapters do not count. 0: all are answered by the one in use.",
        least=0,
    )
    llm_template: str = _setting(
        "auto",
        "Chat template: auto takes the tokenizer's own, else the one of the model's kind; else a "
        "name of rag/models/templates.toml.",
        choices=_templates,
    )
    llm_device: str = _setting("auto", "auto, cpu, cuda or cuda:N.")
    llm_precision: str = _setting(
        "auto",
        "auto, float32, bfloat16 or float16; int8 or int4: weights of 8 or 4 bits.",
        choices=("auto", "float32", "bfloat16", "float16", "int8", "int4"),
    )
    llm_check_fit: bool = _setting(
        True,
        "true: refuse to load an LLM that needs more memory than is free; false: try nevertheless.",
    )
    llm_concurrency: int = _setting(
        8, "Answers generated at once, a token of each a step; further ones queue.", least=1
    )
    llm_queue: int = _setting(32, "Answers that may wait for a turn; more are refused.", least=0)
    llm_cache_mb: int = _setting(
        0,
        "Memory for what the LLM keeps of the texts that it writes at once, in MiB; 0: a quarter "
        "of what is free once it is loaded, or what the questions at once need, if that is more; "
        "on a GPU what they need.",
        least=0,
    )
    llm_graphs: str = _setting(
        "auto",
        "auto: CUDA graphs of compiled layers on a GPU where a probe finds them right and faster; "
        "uncompiled: of the layers as they are; off: none.",
        choices=("auto", "uncompiled", "off"),
    )
    llm_max_prompt_tokens: int = _setting(
        1536, "Token budget of a prompt, passages included.", least=1
    )
    llm_max_new_tokens: int = _setting(128, "Tokens of a generated answer.", least=1)
    llm_temperature: float = _setting(0.0, "0 is greedy and repeatable.", least=0)

    limits_temperature: Range = _setting(
        Range(0, 2), "What a question or a collection may set, as 0..0.7; one number is fixed."
    )
    limits_top_k: Range = _setting(Range(0, 1000), "The same for top_k; 0 is no limit on tokens.")
    limits_top_p: Range = _setting(Range(0.01, 1), "The same for top_p.")
    limits_min_new_tokens: Range = _setting(Range(0, 4096), "The same for min_new_tokens.")
    limits_max_new_tokens: Range = _setting(Range(1, 4096), "The same for max_new_tokens.")
    limits_repetition_penalty: Range = _setting(
        Range(0.5, 2), "The same for repetition_penalty; 1 is none."
    )
    limits_seed: Range = _setting(Range(0, 2**31 - 1), "The same for the seed of what is drawn.")
    limits_system_prompt: Range = _setting(
        Range(0, 4000), "Length in characters of a question's own system prompt; 0: it has none."
    )
    limits_models: tuple[str, ...] = _setting(
        (), "Models that a question may choose, as NAME or NAME+ADAPTER; empty: all that are here."
    )

    reader_model: str = _setting(
        "all-MiniLM-L6-v2", "Model folder that the reader builds on; none: judge without a reader."
    )
    reader_second: str = _setting(
        "auto", "A second look at the best passages, by the starter LLM if here.", ("auto", "none")
    )
    retrieval_candidates: int = _setting(
        50, "Chunks that each half of the retriever proposes.", least=1
    )
    retrieval_dense_weight: float = _setting(
        0.7,
        "Weight of the dense half in the fused score, from 0 to 1; the words of chunk and document "
        "have the rest.",
        least=0,
        most=1,
    )
    retrieval_rerank: int = _setting(
        16, "Passages that the reader looks at to put the best first; 0: none.", least=0
    )
    retrieval_around: int = _setting(
        380,
        "Characters before and after a found chunk that its passage has as well, in whole "
        "sentences of the same section.",
        least=0,
    )
    retrieval_passages: int = _setting(5, "Passages given to the LLM.", least=1)

    answer_threshold: float = _setting(
        -1.0, "Answerability below which Cloister declines; negative: the calibrated value."
    )

    chunk_tokens: int = _setting(
        100,
        "Target size of a chunk in the embedder's tokens; `retrieval.around` widens what is shown.",
        least=1,
    )
    chunk_overlap: int = _setting(
        0, "Tokens that neighbouring chunks of a long text share.", least=0
    )

    ingest_max_bytes: int = _setting(
        200_000_000,
        "Largest file taken, and all files of one upload request together, in bytes.",
        least=1,
    )
    ingest_max_files: int = _setting(100, "Most files in one upload request.", least=1)
    ingest_max_chars: int = _setting(
        50_000_000, "Most characters of text taken from one file.", least=1
    )
    ingest_parsers: int = _setting(
        0,
        "Files parsed at once, each in a process of its own; 0: half as many as there are cores, "
        "from 2 to 8.",
        least=0,
    )
    ingest_parse_seconds: int = _setting(
        120,
        "Time that parsing one file may take; each page read by OCR, and each file taken out of "
        "it, begins it anew.",
        least=1,
    )
    ingest_parse_memory_mb: int = _setting(2048, "Memory for parsing one file, in MiB.", least=1)
    ingest_ocr: str = _setting(
        "auto",
        "auto: read scanned pages and images by OCR; off: leave them out.",
        choices=("auto", "off"),
    )
    ingest_ocr_pages: int = _setting(500, "Most pages of one file that are read by OCR.", least=0)
    ingest_converter: str = _setting(
        "auto",
        "What converts DOC, XLS and PPT: auto finds LibreOffice, off leaves such files out, else "
        "the path of its soffice.",
    )
    ingest_members: int = _setting(
        10_000, "Most files taken out of one archive or mail, those within them included.", least=0
    )
    ingest_members_bytes: int = _setting(
        2_000_000_000,
        "Most bytes taken out of one archive or mail, those within them included.",
        least=0,
    )
    ingest_depth: int = _setting(
        3,
        "How deep archives and mails may be within each other; 0: nothing is taken out of them.",
        least=0,
    )
    ingest_free_bytes: int = _setting(
        200_000_000, "Bytes that must stay free on the disk.", least=0
    )

    sync_include: tuple[str, ...] = _setting(
        (), "Patterns of the files that a sync takes, as *.pdf; none: all that can be read."
    )
    sync_exclude: tuple[str, ...] = _setting(
        (), "Patterns of files and folders that a sync leaves out, as drafts/ or ~$*."
    )
    sync_hidden: bool = _setting(False, "true: sync hidden files and folders too.")
    sync_removed_share: float = _setting(
        0.5,
        "Share of a synced folder's files, from 0 to 1, that may vanish at once without "
        "--confirm-deletions; above 0 one file always may, unless nothing is left.",
        least=0,
        most=1,
    )

    erase_after_seconds: float = _setting(
        21_600.0,
        "Longest wait from a removal until the next idle moment builds the indexes anew, so that "
        "no file holds what was removed; answers are without it at once.",
        least=0,
    )

    cost_per_hour: float = _setting(
        0.0, "Price of an hour of the machine or GPU that the LLM runs on; 0: not known.", least=0
    )
    cost_currency: str = _setting("", "Currency of `cost.per_hour`, as EUR.")

    question_max_chars: int = _setting(2000, "Longest question or query, in characters.", least=1)

    @property
    def parsers(self) -> int:
        """How many files are parsed at once."""
        return self.ingest_parsers or min(8, max(2, usable_cores() // 2))

    @property
    def models_path(self) -> Path:
        """Where the models are: `models`, or the folder of that name in the data directory."""
        return self.models or self.home / "models"


# what a value may be, by the setting's name in Python; the default of a range is its widest
_RULES = {item.name: {**item.metadata, "widest": item.default} for item in fields(Settings)}


def load_settings(
    overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings; `overrides` (by attribute name, None left out) come last.

    Raises UnknownSetting for a key that no setting has, UsageError for a value that it cannot have.
    """
    environ = os.environ if environ is None else environ
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    home = Path(given.get("home") or environ.get(HOME_VARIABLE) or Settings().home).expanduser()
    values: dict[str, Any] = dict(_from_file(home / "cloister.toml"))
    values.update(_from_environment(environ))
    values.update(given)
    values["home"] = home.absolute()
    if isinstance(values.get("models"), str | Path):
        values["models"] = Path(values["models"]).expanduser().absolute()
    types = get_type_hints(Settings)
    return Settings(**{name: _convert(name, value, types) for name, value in values.items()})


def choices_of(name: str) -> tuple[str, ...]:
    """The values that a setting may have, where only some are; `name` as in Python."""
    return choices_in(_RULES[name])


def setting_rows() -> Iterator[tuple[str, str, str, str]]:
    """Each setting as (name in the file, variable, default, help), for help texts and docs."""
    for item in fields(Settings):
        default = "" if item.default in (MISSING, None) else item.default
        shown = ", ".join(default) if isinstance(default, tuple) else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        yield _dotted(item.name), _variable(item.name), shown, str(item.metadata["help"])


def _dotted(name: str) -> str:
    return name.replace("_", ".", 1)


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.upper()


def _from_file(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UsageError(
            f"cloister.toml cannot be read: {error.strerror}. Make it readable for the user who "
            "runs Cloister."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cloister.toml cannot be read: {error}. Mend that line.") from error
    known = {_dotted(item.name): item.name for item in fields(Settings)}
    del known["home"]
    for section, table in tables.items():
        entries = table.items() if isinstance(table, dict) else [("", table)]
        for key, value in entries:
            dotted = f"{section}.{key}".rstrip(".")
            if dotted not in known:
                raise UnknownSetting(_unknown(f"{dotted} in cloister.toml", dotted, list(known)))
            yield known[dotted], value


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {_variable(item.name): item.name for item in fields(Settings)}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == HOME_VARIABLE:
            continue
        if variable not in known:
            raise UnknownSetting(_unknown(f"the variable {variable}", variable, list(known)))
        if value != "":
            yield known[variable], value


def _unknown(what: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"There is no setting for {what}. Did you mean {near[0]}?"


def _convert(name: str, value: Any, types: Mapping[str, Any]) -> Any:
    if name not in types:
        raise UnknownSetting(_unknown(name, name, list(types)))
    return converted(_dotted(name), value, types[name], _RULES[name])
