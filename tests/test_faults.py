"""The n-th write, sync or rename fails: before or after, a typed error, and it works when retried.

Whoever makes the call: Python, SQLite, tantivy or Chroma.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nursery import RENAME, ROOT, SYNC, WRITE, Nursery

KINDS = {"write": WRITE, "sync": SYNC, "rename": RENAME}
# there are so many in an ingest of one document at least; else not everything was reached
LEAST = {"write": 80, "sync": 25, "rename": 1}
ONE, MANY = 3, 150
QUICK = [
    ("write", 20),
    ("write", 22),
    ("write", 77),
    ("write", 100),
    ("sync", 4),
    ("sync", 26),
    ("rename", 1),
]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("built"))
    yield nursery
    nursery.close()


class Base:
    """A library with one old document, copied for each try."""

    def __init__(self, place: Path, nursery: Nursery) -> None:
        self._place = place
        nursery.run("prepare", home=str(place / "base"))

    def copy(self) -> str:
        home = self._place / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self._place / "base", home)
        return str(home)


@pytest.fixture
def base(tmp_path: Path, nursery: Nursery) -> Base:
    return Base(tmp_path, nursery)


def _fails(nursery: Nursery, base: Base, size: int, kind: int, number: int) -> bool:
    """Fail one call, then all from one on; False where there were not so many."""
    once = [kind, number, errno.EIO, False]
    said = nursery.run("ingest", home=base.copy(), size=size, fault=once, again=True)
    home = base.copy()
    lasting = [kind, number, errno.ENOSPC, True]
    after = nursery.run("ingest", home=home, size=size, fault=lasting, again=False)
    nursery.run("look", home=home, size=size)
    return bool(said["failed"] or after["failed"])


@pytest.mark.parametrize(("kind", "number"), QUICK)
def test_some_calls_fail(nursery: Nursery, base: Base, kind: str, number: int) -> None:
    assert _fails(nursery, base, ONE, KINDS[kind], number)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_of_an_ingest_fails_in_turn(nursery: Nursery, base: Base, kind: str) -> None:
    number = 1
    while _fails(nursery, base, ONE, KINDS[kind], number):
        number += 1
    assert number > LEAST[kind]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "sync"])
def test_some_calls_of_a_larger_ingest_fail(nursery: Nursery, base: Base, kind: str) -> None:
    never = [KINDS[kind], 10**9, errno.EIO, False]
    whole = nursery.run("ingest", home=base.copy(), size=MANY, fault=never, again=True)
    for number in random.Random(1).sample(range(1, whole["seen"]), 20):
        assert _fails(nursery, base, MANY, KINDS[kind], number), number


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "sync"])
def test_some_calls_of_an_erasing_rebuild_fail(nursery: Nursery, base: Base, kind: str) -> None:
    never = [KINDS[kind], 10**9, errno.EIO, False]
    seen = nursery.run("erase", home=base.copy(), fault=never)["seen"]
    for number in random.Random(2).sample(range(1, seen), 20):
        for code, lasting in ((errno.EIO, False), (errno.ENOSPC, True)):
            fault = [KINDS[kind], number, code, lasting]
            nursery.run("erase", home=base.copy(), fault=fault)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("file", "number"), [*((".managed.json", n) for n in range(1, 7)), ("meta.json", 1)]
)
def test_renames_of_tantivy_s_fail(nursery: Nursery, base: Base, file: str, number: int) -> None:
    """tantivy asks the system itself, past every library: only strace reaches that."""
    if shutil.which("strace") is None:
        pytest.skip("no strace is here")
    home = base.copy()
    log = Path(home).with_name("strace.log")
    traced = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", str(log), "-P", f"{home}/words/1/{file}"),
            *("-e", "trace=renameat", "-e", f"inject=renameat:error=EIO:when={number}"),
            *(sys.executable, "-m", "tests.faults.once", home),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in traced.stderr and "not permitted" in traced.stderr:
        pytest.skip("strace may not trace here")
    assert traced.returncode == 0, traced.stderr
    assert "INJECTED" in log.read_text()
    nursery.run("look", home=home, size=ONE)
