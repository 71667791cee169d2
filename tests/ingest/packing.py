"""Makes archives and mails for tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

Files = Mapping[str, "bytes | str"]


def zipped(files: Files) -> bytes:
    """A ZIP archive; the same files give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), _raw(data), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def tarred(files: Files, packing: str = "gz") -> bytes:
    """A TAR archive, packed by `gz`, `bz2`, `xz` or (empty) not at all."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(_raw(data))
            archive.addfile(info, io.BytesIO(_raw(data)))
    return target.getvalue()


def mail(subject: str, text: str, files: Files | None = None) -> EmailMessage:
    """A message with attached files."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Ada <ada@example.org>"
    message.set_content(text)
    for name, data in (files or {}).items():
        message.add_attachment(
            _raw(data), maintype="application", subtype="octet-stream", filename=name
        )
    if message.is_multipart():
        message.set_boundary(f"====={subject}")
    return message


def _raw(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
