"""Where tokens lie in a text, and how many of them an embedder reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.pipeline import Pipeline
from rag.embedding import load_embedder
from rag.errors import ModelError
from rag.settings import Settings
from rag.testing import fake_library
from rag.tokens import tokenizer_offsets


def test_tokenizer_offsets_of_a_folder(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert tokenizer_offsets(tmp_path)("a bé 🙂 d") == [(0, 1), (2, 4), (5, 6), (7, 8)]


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        tokenizer_offsets(tmp_path)


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        tokenizer_offsets(tmp_path)


def test_the_starter_model_reads_254_tokens_of_a_text(tmp_path: Path, models_path: Path) -> None:
    assert load_embedder(Settings(home=tmp_path, models=models_path)).limit == 254


def test_chunks_keep_to_the_embedder_s_limit(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    library.embedder.limit = 50
    pipeline = Pipeline(library.settings, library.catalog, library.embedder, library.indexes)
    assert pipeline._drafter._chunker._limit == 50
    pipeline.close()
    library.close()


def test_every_failure_of_a_part_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag.library import Library
    from rag.testing import fake_settings

    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    library = Library(fake_settings(tmp_path))
    monkeypatch.setattr(Library, "_load_embedder", broken)
    with pytest.raises(RuntimeError):
        library.load()
    told = library.readiness()
    assert "failed" in told["embedder"]
    assert "embedder" in told["indexes"]
    assert "embedder" in told["llm"]
    library.close()
