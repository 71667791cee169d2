"""The figures of the README are counted, not estimated."""

from __future__ import annotations

from pathlib import Path

from tools.measure_setup import downloads


def test_downloads_are_read_from_pips_log(tmp_path: Path) -> None:
    local = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    local.write_bytes(b"x" * 1234)
    log = tmp_path / "pip.log"
    log.write_text(
        f"""\
2026-11-21T09:16:27,126 Processing {tmp_path}
2026-11-21T09:16:27,828   Downloading setuptools-84.2.1-py3-none-any.whl (876 kB)
2026-11-21T09:16:27,829     Downloading setuptools-84.2.1-py3-none-any.whl (876 kB)
2026-11-21T09:16:30,422 Processing {local} (from torch==2.13.0)
2026-11-21T09:16:31,427   Downloading https://x.org/a/scipy-1.17.1-cp311.whl (35.3 MB)
2026-11-21T09:16:31,427   Using cached numpy-2.4.6-cp311.whl (16.9 MB)
2026-11-21T09:16:31,427   Found link https://x.org/a/scipy-1.0.whl
"""
    )
    assert downloads(log) == {
        "setuptools-84.2.1-py3-none-any.whl": 876_000,
        local.name: 1234,
        "scipy-1.17.1-cp311.whl": 35_300_000,
    }
