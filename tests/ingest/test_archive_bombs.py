"""Archives made to exhaust a machine are refused quickly, in little memory, with nothing kept."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ingest.intake import Intake, MemberStream, clean_path
from ingest.parsers.packed import UnpackLimits
from ingest.sandbox import Sandbox
from rag.errors import DocumentError, ParserStopped
from rag.library import open_catalog
from rag.originals import Incoming, incoming
from rag.settings import Settings
from rag.testing import fake_settings
from tests.ingest.packing import tarred, zipped

LIMITS = UnpackLimits(1_000, 2_000_000_000, 200_000_000)
MEGABYTE = bytes(1_000_000)


@contextmanager
def _incoming(settings: Settings) -> Iterator[Incoming]:
    catalog = open_catalog(settings)
    with closing(catalog), incoming(settings, catalog) as originals:
        yield originals


def _many_zeros(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for number in range(60):
            archive.writestr(f"{number}.txt", MEGABYTE * 3)
    return target.getvalue()


def _overlapping() -> bytes:
    """Many entries that all point to the same bytes, each said to be large."""
    one = zipped({"a.txt": MEGABYTE * 30})
    at = one.find(b"PK\x01\x02")
    entry, body = one[at : one.find(b"PK\x05\x06")], one[:at]
    entries = entry * 500
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 500, 500, len(entries), len(body), 0)
    return body + entries + end


def _lying(size: int) -> bytes:
    """An entry that says it is small and is not."""
    data = bytearray(zipped({"a.txt": MEGABYTE * 20}))
    for at in (data.find(b"PK\x03\x04") + 22, data.find(b"PK\x01\x02") + 24):
        data[at : at + 4] = struct.pack("<L", size)
    return bytes(data)


def _tar_said_to_hold(size: int, kind: bytes = tarfile.REGTYPE, **pax: str) -> bytes:
    info = tarfile.TarInfo("a.txt")
    info.size, info.type = size, kind
    if pax:
        info.pax_headers = {name.replace("_", "."): value for name, value in pax.items()}
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(10_240)


def _tar_of_zeros(pack: Callable[[bytes], bytes], megabytes: int) -> bytes:
    info = tarfile.TarInfo("a.txt")
    info.size = megabytes * len(MEGABYTE)
    return pack(info.tobuf() + MEGABYTE * megabytes + bytes(10_240))


BOMBS: dict[str, Callable[[], bytes]] = {
    "deflated.zip": lambda: _many_zeros(zipfile.ZIP_DEFLATED),
    "bzipped.zip": lambda: _many_zeros(zipfile.ZIP_BZIP2),
    "lzma.zip": lambda: _many_zeros(zipfile.ZIP_LZMA),
    "overlapping.zip": _overlapping,
    "many.zip": lambda: zipped({f"{n}.txt": "" for n in range(20_000)}),
    "many.tar": lambda: tarred({f"{n}.txt": "x" for n in range(1_001)}, ""),
    "zeros.tar.gz": lambda: _tar_of_zeros(lambda data: gzip.compress(data, 9), 120),
    "zeros.tar.bz2": lambda: _tar_of_zeros(bz2.compress, 120),
    "zeros.tar.xz": lambda: _tar_of_zeros(lambda data: lzma.compress(data, preset=1), 120),
    "petabyte.tar": lambda: _tar_said_to_hold(10**15),
    "sparse.tar": lambda: _tar_said_to_hold(
        0, GNU_sparse_major="0", GNU_sparse_minor="1", GNU_sparse_name="a.txt",
        GNU_sparse_size=str(10**15), GNU_sparse_map=f"0,0,{10**15},0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(tmp_path: Path, name: str) -> None:
    data = BOMBS[name]()
    (tmp_path / "bomb").write_bytes(data)
    (tmp_path / "sound").write_bytes(zipped({"a.txt": "x"}))
    settings = fake_settings(tmp_path / "home")
    kind = "zip" if name.endswith("zip") else "tar"
    # the limit is the least in which a child parses at all, and some 50 MB
    with Sandbox(seconds=20, memory_mb=150) as sandbox, _incoming(settings) as originals:
        sandbox.parse(tmp_path / "sound", "sound.zip", "zip", Intake(originals, "s", LIMITS))
        begun = time.monotonic()
        intake = Intake(originals, name, LIMITS)
        with pytest.raises(DocumentError) as raised:
            sandbox.parse(tmp_path / "bomb", name, kind, intake)
        assert time.monotonic() - begun < 10
    assert raised.value.code in ("too-much-inside", "corrupt-document"), raised.value
    assert name in str(raised.value)
    assert list((settings.home / "originals").glob("*/*")) == []


def test_an_entry_that_lies_about_its_size_is_cut_off_and_told(tmp_path: Path) -> None:
    settings = fake_settings(tmp_path / "home")
    (tmp_path / "a.zip").write_bytes(_lying(1000))
    with Sandbox(seconds=20) as sandbox, _incoming(settings) as originals:
        intake = Intake(originals, "a.zip", LIMITS)
        sandbox.parse(tmp_path / "a.zip", "a.zip", "zip", intake)
    (member,) = intake.members
    assert member.error_code == "corrupt-document"


def test_mutated_archives_are_read_or_refused(tmp_path: Path) -> None:
    """Whatever is done to an archive, it is unpacked, or refused with a reason; nothing crashes."""
    rng = random.Random(7)
    settings = fake_settings(tmp_path / "home")
    files = {f"folder/{n}.txt": f"About giraffes {n}. " * 40 for n in range(6)}
    sources = {f"a.tar.{packing}": tarred(files, packing) for packing in ("gz", "bz2", "xz")}
    sources |= {"a.zip": zipped(files), "a.tar": tarred(files, "")}
    errors: list[DocumentError] = []
    with Sandbox(seconds=20, memory_mb=512) as sandbox, _incoming(settings) as originals:
        for _ in range(300):
            name = rng.choice(sorted(sources))
            data = bytearray(sources[name])
            for _change in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if rng.random() < 0.3:
                del data[rng.randrange(len(data)) :]
            (tmp_path / "a").write_bytes(data)
            kind = "zip" if name == "a.zip" else "tar"
            intake = Intake(originals, name, LIMITS)
            try:
                sandbox.parse(tmp_path / "a", name, kind, intake)
            except DocumentError as error:
                errors.append(error)
            for member in intake.members:
                assert ".." not in member.name.split("/")
                assert bool(member.bytes_hash) != bool(member.error)
    assert 0 < len(errors) < 300
    assert not [error for error in errors if isinstance(error, ParserStopped)]


@pytest.mark.parametrize(
    ("raw", "shown", "taken"),
    [
        ("a/b.txt", "a/b.txt", True),
        ("/etc/passwd", "etc/passwd", True),
        ("C:\\Users\\x.txt", "Users/x.txt", True),
        ("./a//b.txt", "a/b.txt", True),
        ("../a.txt", "a.txt", False),
        ("a/../../b.txt", "a/b.txt", False),
        ("..", "unnamed", False),
        ("", "unnamed", True),
        ("a\0b\n\x1b[31m.txt", "ab[31m.txt", True),
        ("bad\udcff.txt", "bad?.txt", True),
        ("x" * 256, "x" * 40 + "…", False),
        ("/".join(["d" * 200] * 6), "d" * 40 + "…", False),
    ],
)
def test_names(raw: str, shown: str, taken: bool) -> None:
    name, error = clean_path(raw)
    assert (name, error is None) == (shown, taken)


@pytest.mark.parametrize(
    "frames",
    [
        [b"x"],
        [b"e{}"],
        [b"e[]"],
        [b'e{"code": 1, "message": "x"}'],
        [b"d" + bytes(600_000), b"d" + bytes(600_000), b"e"],
    ],
)
def test_a_sender_that_lies_is_stopped(tmp_path: Path, frames: list[bytes]) -> None:
    settings = fake_settings(tmp_path)
    with _incoming(settings) as originals:
        intake = Intake(originals, "a.zip", UnpackLimits(5, 1_000_000, 10**9))
        rest = iter(frames)
        with pytest.raises(ParserStopped):
            intake.take("a.txt", MemberStream(lambda: next(rest)))


def test_a_sender_of_too_many_is_stopped(tmp_path: Path) -> None:
    settings = fake_settings(tmp_path)
    with _incoming(settings) as originals:
        intake = Intake(originals, "a.zip", UnpackLimits(2, 1_000_000, 10**9))
        for number in range(2):
            rest = iter([b"d" + bytes([65 + number]), b"e"])
            intake.take(f"{number}.txt", MemberStream(lambda rest=rest: next(rest)))
        with pytest.raises(ParserStopped, match="more than it was allowed"):
            intake.take("3.txt", MemberStream(lambda: b"e"))
