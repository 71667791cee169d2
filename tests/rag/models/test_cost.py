"""The cost of answers: the time that they kept the machine busy, its price and its power."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from rag.catalog.answer_figures import AnswerFigures, answer_figures
from rag.catalog.answers import record_answer
from rag.catalog.schema import answers
from rag.commands.models import models
from rag.library import open_catalog
from rag.models.cost import busy_seconds, costs, price_of_thousand
from rag.models.energy import measure_power
from rag.records import NO_MODEL, Answer, ModelInfo, Usage
from rag.settings import Settings

_STARTER = ModelInfo("starter", "abc", "cpu", "tuned@1")


def row(
    finished: float, total: int = 2000, first: int | None = 1000, **changes: object
) -> AnswerFigures:
    given: dict[str, object] = {
        "model": "starter",
        "revision": "abc",
        "adapter": None,
        "quantization": None,
        "device": "cpu",
        "finished": finished,
        "prompt_tokens": 800,
        "completion_tokens": 11,
        "first_token": first,
        "total": total,
    }
    return AnswerFigures(**(given | changes))  # type: ignore[arg-type]


def test_answers_made_side_by_side_share_the_time() -> None:
    assert busy_seconds([row(10), row(20)]) == 4
    assert busy_seconds([row(10), row(10.5), row(11)]) == 3
    assert busy_seconds([row(10, 9000), row(5, 1000)]) == 9
    assert busy_seconds([]) == 0


def test_what_a_thousand_answers_cost() -> None:
    (cost,) = costs([row(10), row(20, 4000, 2000)], per_hour=1.2, watts=180)
    assert (cost.answers, cost.written, cost.p50, cost.p95) == (2, 2, 2, 4)
    assert cost.tokens_per_second == pytest.approx(20 / 3)
    assert cost.busy == 3
    assert cost.price == pytest.approx(1.0)  # 3,000 seconds of an hour
    assert cost.energy == pytest.approx(150)
    assert price_of_thousand(3.6, 2.0) == pytest.approx(2.0)


def test_what_is_not_known_is_said_so() -> None:
    (cost,) = costs([row(10, first=None, completion_tokens=0)])
    assert (cost.answers, cost.written) == (1, 0)
    assert cost.tokens_per_second is cost.prompt_tokens is cost.price is cost.energy is None


def test_models_and_adapters_are_told_apart() -> None:
    rows = [row(1), row(2, adapter="tuned@1"), row(3), row(4, quantization="int8")]
    found = {(c.adapter, c.quantization): c.answers for c in costs(rows)}
    assert found == {(None, None): 2, ("tuned@1", None): 1, (None, "int8"): 1}
    assert costs([]) == []


def library(home: Path) -> Settings:
    settings = Settings(home=home)
    catalog = open_catalog(settings)
    for number, info in enumerate((_STARTER, _STARTER, NO_MODEL)):
        answer = Answer(
            id=f"ans_{number}",
            question="When?",
            standalone_question="When?",
            collections=(),
            text="Now.",
            short_answer=None,
            abstained=False,
            confidence=1.0,
            answerable=1.0,
            sentences=(),
            citations=(),
            passages=(),
            model=info,
            prompt_version="1",
            usage=Usage(800, 11),
            timings_ms={"first_token": 1000, "total": 2000},
        )
        assert record_answer(catalog, answer)
        with catalog.write() as connection:
            connection.execute(
                update(answers)
                .where(answers.c.id == answer.id)
                .values(created_at=f"2026-11-0{number + 1}T12:00:00.000Z")
            )
    catalog.close()
    return settings


def test_figures_come_from_the_recorded_answers(tmp_path: Path) -> None:
    catalog = open_catalog(library(tmp_path))
    found = answer_figures(catalog)
    assert [(f.model, f.adapter, f.prompt_tokens, f.total) for f in found] == [
        ("starter", "tuned@1", 800, 2000)
    ] * 2
    assert found[1].finished - found[0].finished == 24 * 3600
    assert len(answer_figures(catalog, "2026-11-02")) == 1
    catalog.close()


def test_the_command(tmp_path: Path) -> None:
    settings = library(tmp_path)
    run = CliRunner().invoke(models, ["cost", "--per-hour", "1.8", "--json"], obj=settings)
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert (said["per_hour"], said["watts"]) == (1.8, None)
    (one,) = said["models"]
    assert (one["model"], one["answers"], one["busy"]) == ("starter", 2, 2)
    assert one["price"] == pytest.approx(1.0)
    given = ["cost", "--since", "2026-11-02", "--watts", "90"]
    table = CliRunner().invoke(models, given, obj=settings)
    assert "starter + tuned" in table.stdout
    assert " 50 " in table.stdout
    assert "set cost.per_hour" in table.stderr
    nothing = CliRunner().invoke(models, ["cost", "--since", "2027-01-01"], obj=settings)
    assert "No answer of a model is recorded" in nothing.stderr


def counter(folder: Path, name: str, joules: float) -> None:
    zone = folder / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    (zone / "max_energy_range_uj").write_text(f"{int(1000 * 1e6)}\n")


def test_power_of_processor_and_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("rag.models.energy.time.monotonic", lambda: now[0])
    counter(tmp_path, "intel-rapl:0", 990)
    counter(tmp_path, "intel-rapl:1", 10)
    counter(tmp_path, "intel-rapl:0:0", 5)  # a part of the first

    def wait(seconds: float) -> None:
        now[0] += seconds
        counter(tmp_path, "intel-rapl:0", (990 + 20 * now[0]) % 1000)
        counter(tmp_path, "intel-rapl:1", 10 + 30 * now[0])
        counter(tmp_path, "intel-rapl:0:0", 5 + 7 * now[0])

    power = measure_power(2, tmp_path, lambda: 100.0 + now[0] * 50, wait)
    assert power.processor == pytest.approx(50)
    assert power.gpu == pytest.approx(125)
    assert power.watts == pytest.approx(175)


def test_power_that_nothing_tells(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").mkdir()
    power = measure_power(1, tmp_path, lambda: None, lambda _: None)
    assert (power.processor, power.gpu, power.watts) == (None, None, None)
