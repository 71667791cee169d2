"""What Word, PowerPoint and Excel files share: their parts, and the strict form of the format."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

from ingest.parsers.xml import parse_xml

_STRICT = b"http://purl.oclc.org/ooxml/"
# the namespaces whose names differ by more than their beginning are not among what is read
_NAMES = re.compile(
    rb"http://purl\.oclc\.org/ooxml/(officeDocument/relationships|officeDocument/math|"
    rb"officeDocument|wordprocessingml|spreadsheetml|presentationml|drawingml)"
)
_LOOSE = b"http://schemas.openxmlformats.org/"
_XML = (".xml", ".rels")


def loosened(path: Path) -> BinaryIO | Path:
    """A file of strict Open XML with the names of the usual form; any other as it is.

    Raises BadZipFile and its like for a damaged one.
    """
    with zipfile.ZipFile(path) as archive:
        if _STRICT not in archive.read("_rels/.rels"):
            return path
        changed = io.BytesIO()
        with zipfile.ZipFile(changed, "w") as target:
            for info in archive.infolist():
                data = archive.read(info)
                if info.filename.endswith(_XML):
                    data = _NAMES.sub(_loose, data)
                target.writestr(info.filename, data)
    changed.seek(0)
    return changed


def _loose(found: re.Match[bytes]) -> bytes:
    name = found.group(1)
    if name == b"officeDocument/relationships":
        return _LOOSE + b"officeDocument/2006/relationships"
    if name == b"officeDocument/math":
        return _LOOSE + b"officeDocument/2006/math"
    # `…/wordprocessingml/main` is `…/wordprocessingml/2006/main`
    return _LOOSE + name + b"/2006"


def related(archive: zipfile.ZipFile, part: str, *, by_id: bool = False) -> list[tuple[str, str]]:
    """What a part of an Office file refers to within it, in order; the file itself is part "".

    Each with the last word of the relation's kind, or with its id, and the member meant.
    """
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{name}.rels")
    members = set(archive.namelist())
    found = []
    if relations in members:
        for relation in parse_xml(archive.read(relations)):
            target = relation.get("Target", "")
            member = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            if relation.get("TargetMode") != "External" and member in members:
                kind = relation.get("Type", "").rpartition("/")[2]
                found.append((relation.get("Id", "") if by_id else kind, member))
    return found
