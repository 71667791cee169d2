"""Kill -9 at random points of a sync, with the real embedder and Chroma.

After a restart everything is as it is after a sync that nothing disturbed.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.talking import Talking

KILLS = 20


class Victims:
    """The process of tests/kills/victims.py."""

    def __init__(self, models: Path) -> None:
        # one thread: what forks must have no others
        given = {"MODELS": str(models), "OMP_NUM_THREADS": "1"}
        self._child = Talking("tests.kills.victims", given=given)

    def ask(self, what: str, home: Path, folder: Path, seconds: float | None = None) -> Any:
        return self._child.ask(what, str(home), str(folder), seconds)

    def state(self, home: Path, folder: Path) -> Mapping[str, Any]:
        """The library after a sync that is let end."""
        told = self.ask("go on", home, folder)["told"]
        assert told.startswith("{"), told
        state: Mapping[str, Any] = json.loads(told)
        return state

    def close(self) -> None:
        self._child.close()


@pytest.fixture(scope="module")
def victims(models_path: Path) -> Iterator[Victims]:
    victims = Victims(models_path)
    yield victims
    victims.close()


class Estate:
    """A library in step with a folder that then changed: new, changed, moved and gone files."""

    def __init__(self, place: Path, victims: Victims) -> None:
        self._place, self._victims = place, victims
        self.folder, self._before = place / "folder", place / "before"
        for number in range(6):
            self._write(f"old-{number}.md", number, "was")
        self._victims.state(self._before, self.folder)
        for number in range(6, 12):
            self._write(f"{'ab'[number % 2]}/new-{number}.md", number, "is")
        for number in (0, 1):
            self._write(f"old-{number}.md", number, "is now")
        (self.folder / "old-2.md").rename(self.folder / "moved.md")
        (self.folder / "old-3.md").unlink()
        whole = self.home()
        told = victims.ask("ingest", whole, self.folder)["told"]
        self.seconds = float(told.splitlines()[1])
        self.undisturbed = victims.state(whole, self.folder)

    def home(self) -> Path:
        """The library as it was before the folder changed, anew."""
        home = self._place / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self._before, home)
        return home

    def _write(self, name: str, number: int, verb: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = (
            f"## Part {part}\n\nPump {number}-{part} {verb} checked in week {number + part}; the "
            f"seal of valve {part * 13 + number} {verb} renewed by team {(number + part) % 7}. "
            f"Its pressure {verb} {number * 37 + part * 11} kilopascal, measured by two people."
            for part in range(1 + 2 * (number % 4))
        )
        path.write_text(f"# Report {number}\n\n" + "\n\n".join(parts))


def _check_same(state: Mapping[str, Any], undisturbed: Mapping[str, Any]) -> None:
    assert state["documents"] == undisturbed["documents"]
    assert state["chunks"] == undisturbed["chunks"]
    assert set(state["vectors"]) == set(undisturbed["vectors"])
    for name, vector in state["vectors"].items():
        ours, theirs = np.array(vector), np.array(undisturbed["vectors"][name])
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert cosine > 0.9999, name


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("block", "kills"),
    [
        pytest.param(0, 2, id="2 kills"),
        *(pytest.param(n, KILLS, id=f"block {n}", marks=pytest.mark.slow) for n in range(1, 11)),
    ],
)
def test_after_a_kill_all_is_as_after_an_undisturbed_run(
    tmp_path: Path, victims: Victims, block: int, kills: int
) -> None:
    rng = random.Random(block)
    estate = Estate(tmp_path, victims)
    # a rename or a removal may be done or not; what was not touched answers throughout
    always = {"old-0.md", "old-1.md", "old-4.md", "old-5.md"}
    landed = tried = 0
    while landed < kills:
        tried += 1
        assert tried < 3 * kills, "most kills came too late"
        home = estate.home()
        after = rng.uniform(0, estate.seconds)
        killed = victims.ask("ingest", home, estate.folder, after)
        landed += killed["killed"] and killed["told"] == "begun\n"
        state = victims.state(home, estate.folder)
        assert always <= set(state["shown"]), (block, landed, after)
        assert {"old-2.md", "moved.md"} & set(state["shown"]), (block, landed, after)
        _check_same(state, estate.undisturbed)
    print(f"block {block}: {landed} kills within {estate.seconds:.2f} s, {tried} tried")  # noqa: T201
