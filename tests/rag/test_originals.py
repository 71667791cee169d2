"""What lies among the originals and is none of them hinders nothing, and is deleted on demand."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag.catalog import Catalog
from rag.catalog.stored import stored_hashes
from rag.errors import StorageError
from rag.library import open_catalog
from rag.originals import original_path, store_original, strays, sweep_originals, unwanted_originals
from rag.settings import Settings
from rag.testing import fake_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fake_settings(tmp_path / "home")


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    with closing(open_catalog(settings)) as catalog:
        yield catalog


def _stored(settings: Settings, catalog: Catalog, text: str) -> Path:
    stream = io.BytesIO(text.encode())
    return original_path(settings, store_original(settings, catalog, stream, "a.txt")[0])


def _unknown(settings: Settings) -> Path:
    """An original that came after the backup from which the catalog was put back."""
    path = original_path(settings, "f" * 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("the only copy")
    return path


def _clutter(settings: Settings, catalog: Catalog, outside: Path) -> set[Path]:
    """Put what no original is at each level; returns the topmost of each."""
    originals = settings.home / "originals"
    kept = _stored(settings, catalog, "kept").parent
    outside.mkdir()
    (outside / "letter.txt").write_text("mine")
    (outside / ("0" * 64)).write_text("mine too")
    for name in ("@eaDir/deep/deeper", "zz"):
        (originals / name).mkdir(parents=True)
        (originals / name / ("f" * 64)).write_text("x")
    (originals / "Thumbs.db").write_text("x")
    (originals / "link").symlink_to(outside)
    unused = next(f"{n:02x}" for n in range(256) if not (originals / f"{n:02x}").exists())
    (originals / unused).symlink_to(outside)
    (kept / "@eaDir").mkdir()
    (kept / "@eaDir" / "thumb.jpg").write_text("x")
    (kept / ".DS_Store").write_text("x")
    (kept / "link").symlink_to(outside)
    (kept / "loop").symlink_to("loop")
    (kept / ("e" * 64)).mkdir()
    (originals / "incoming" / "@eaDir").mkdir()
    tops = ("@eaDir", "zz", "Thumbs.db", "link", unused, "incoming/@eaDir")
    inner = ("@eaDir", ".DS_Store", "link", "loop", "e" * 64)
    return {originals / name for name in tops} | {kept / name for name in inner}


def test_a_sweep_deletes_originals_and_leaves_everything_else(
    settings: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    kept, dropped = _stored(settings, catalog, "kept"), _stored(settings, catalog, "dropped")
    clutter = _clutter(settings, catalog, tmp_path / "outside")
    half = settings.home / "originals" / "incoming" / "tmphalf"
    half.write_text("half")
    unknown = _unknown(settings)
    known, others = unwanted_originals(settings, {kept.name}, stored_hashes(catalog))
    assert (set(known), others) == ({dropped, half}, [unknown])
    assert sweep_originals(settings, catalog, lambda: {kept.name})
    assert [path for path in (kept, dropped, half) if path.exists()] == [kept]
    assert unknown.exists()
    assert stored_hashes(catalog) == {kept.name}
    assert all(path.is_symlink() or path.exists() for path in clutter)
    assert len(list((tmp_path / "outside").iterdir())) == 2


def test_strays_are_found_at_each_level(
    settings: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    kept = _stored(settings, catalog, "kept")
    clutter = _clutter(settings, catalog, tmp_path / "outside")
    found = strays(settings, {kept.name})
    assert len(found) == len(set(found))
    assert set(found) == clutter


def test_a_linked_folder_that_originals_are_read_through_stays(
    settings: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    kept = _stored(settings, catalog, "kept")
    (tmp_path / "disk").mkdir()
    moved = kept.parent.rename(tmp_path / "disk" / "moved")
    kept.parent.symlink_to(moved)
    (moved / ("0" * 64)).write_text("not ours")
    assert strays(settings, {kept.name}) == []
    assert unwanted_originals(settings, {kept.name}, set()) == ([], [])
    assert strays(settings, set()) == [kept.parent]


def test_one_that_cannot_be_deleted_keeps_no_other_and_is_told(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [_stored(settings, catalog, text) for text in ("a", "b", "c")]
    stuck = paths[1]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="not permitted"):
        sweep_originals(settings, catalog, set)
    assert [path for path in paths if path.exists()] == [stuck]
    monkeypatch.undo()
    assert sweep_originals(settings, catalog, set)
    assert not stuck.exists()
