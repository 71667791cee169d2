"""Makes the zip packages of DOCX, PPTX and XLSX files the same in every run."""

import re
import zipfile
from datetime import datetime
from pathlib import Path

_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def document_date(meta: dict[str, str]) -> datetime:
    """Return the date of a document as its properties store it."""
    return datetime.strptime(meta["date"], "%Y-%m-%d").replace(hour=9)


def normalise_package(path: Path, date: datetime) -> None:
    """Rewrite a package: fixed member times and modification date, no compression.

    The members are stored and not compressed, because different builds of zlib compress
    the same bytes differently.
    """
    stamp = date.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path) as package:
        members = [(info.filename, package.read(info)) for info in package.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        for name, data in members:
            if name == "docProps/core.xml":
                data = _MODIFIED.sub(rb"\g<1>" + stamp + rb"\g<2>", data)
            info = zipfile.ZipInfo(name, _FIXED_TIME)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            package.writestr(info, data)
