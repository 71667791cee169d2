"""A model hub as `cloister models pull` asks it: what a model consists of, and its bytes.

The only module that reaches a hub. Every other use of huggingface_hub in Cloister is offline
(`rag/cli.py`), and so is this process again when `online` ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag import __version__
from rag.errors import CloisterError, ModelError, NotFound, UsageError
from rag.models.server.address import ServerAddress
from rag.settings import Settings

if TYPE_CHECKING:
    from httpx2 import Response

DEFAULT = "https://huggingface.co"
# huggingface_hub's own would tell the versions of Python and torch
_HEADERS = {"user-agent": f"cloister/{__version__}"}
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a model: its size in bytes and the hub's own checksum of it.

    `sha256` is known of large files (LFS); others have `blob`, the SHA-1 that git names them by.
    """

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model at one commit. `licence` is the hub's name for it; empty where none is stated."""

    id: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str
    licence_url: str
    gated: bool
    embedder: bool


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub at an address. Its token, if there is one, is sent to it alone and never stored.

    `withheld` says why a token that is there is not sent; empty where there is nothing to say.
    """

    address: str
    token: str | None = field(repr=False, default=None)
    withheld: str = ""

    def page(self, model_id: str) -> str:
        """Where people read about a model."""
        return f"{self.address}/{model_id}"

    def describe(self, model_id: str, revision: str) -> HubModel:
        """The model at the commit that a branch, tag or commit names now.

        Raises NotFound, ModelError where it is gated or the hub does not answer.
        """
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.address, token=self.token or False, headers=dict(_HEADERS))
        with self._explained(model_id, revision):
            info = api.model_info(
                model_id, revision=revision, files_metadata=True, timeout=_READ_SECONDS
            )
        if not info.sha:
            raise ModelError(f"The hub at {self.address} does not tell the commit of {model_id}.")
        files = tuple(
            HubFile(
                name=file.rfilename,
                size=file.lfs.size if file.lfs else file.size or 0,
                sha256=file.lfs.sha256 if file.lfs else "",
                blob="" if file.lfs else file.blob_id or "",
            )
            for file in info.siblings or ()
        )
        licence, url = _licence(info)
        return HubModel(
            id=model_id,
            commit=info.sha,
            files=files,
            licence=licence,
            licence_url=url or self.page(model_id),
            gated=bool(info.gated),
            embedder=info.pipeline_tag in ("sentence-similarity", "feature-extraction"),
        )

    @contextmanager
    def stream(self, model: HubModel, name: str, start: int) -> Iterator[Response]:
        """The response that sends a file from its byte `start` on, or from its beginning.

        Its status tells which: 206 or 200. Raises httpx2's errors of the connection, huggingface
        hub's of the status.
        """
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import get_session, hf_raise_for_status

        url = hf_hub_url(model.id, name, revision=model.commit, endpoint=self.address)
        headers = build_hf_headers(token=self.token or False, headers=dict(_HEADERS))
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        session, timeout = get_session(), (_CONNECT_SECONDS, _READ_SECONDS, 30.0, 30.0)
        with session.stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            yield response

    @contextmanager
    def _explained(self, model_id: str, revision: str) -> Iterator[None]:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            yield
        except HFValidationError as error:
            raise UsageError(
                f"“{model_id}” is no model's id. Write it as organisation/name."
            ) from error
        except HfHubHTTPError as error:
            raise self.explain(error, model_id, revision) from error
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise self.unreachable(error) from error

    def explain(self, error: Any, model_id: str, revision: str = "") -> CloisterError:
        """What a hub's refusal of a request means, and what to do."""
        from huggingface_hub.errors import (
            GatedRepoError,
            RemoteEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        status = error.response.status_code
        refused = isinstance(error, RepositoryNotFoundError) and self.token is None
        if isinstance(error, GatedRepoError):
            return self.gated(model_id)
        if isinstance(error, RevisionNotFoundError):
            return NotFound(
                f"{model_id} has no revision “{revision}” at {self.address}. "
                f"See {self.page(model_id)}/commits/main"
            )
        if isinstance(error, RemoteEntryNotFoundError):
            return ModelError(f"A file of {model_id} is gone from {self.address}. Pull it again.")
        if status == 401 and self.token is not None:
            return ModelError(
                f"{self.address} does not know the token of HF_TOKEN or HF_TOKEN_PATH any more. "
                f"Make a new one that may read at {self.address}/settings/tokens."
            )
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            hint = " If it is private, set HF_TOKEN to a token that may read it." if refused else ""
            return NotFound(
                f"There is no model {model_id} at {self.address}. Check its name.{hint}"
            )
        if status == 403:
            return self.gated(model_id)
        return ModelError(
            f"The hub at {self.address} refused ({status}). Try again later; what was fetched is "
            "kept."
        )

    def gated(self, model_id: str) -> ModelError:
        """The error of a model that its makers give to those only who accept their terms."""
        which = "no token is sent over http" if self.withheld else "no token is given"
        if self.token:
            which = "the token of HF_TOKEN or HF_TOKEN_PATH may not read it"
        return ModelError(
            f"{model_id} is gated: its makers give it to those who accept their terms, and "
            f"{which}. 1. Sign in at {self.page(model_id)} and accept the terms there. 2. Make a "
            f"token that may read at {self.address}/settings/tokens. 3. Give the command again "
            "with HF_TOKEN set to it, or with HF_TOKEN_PATH naming a file that holds it. Cloister "
            "does not store it."
        )

    def unreachable(self, error: object) -> ModelError:
        """The error of a hub that does not answer, or not as one."""
        return ModelError(
            f"The hub at {self.address} cannot be reached: {str(error)[:200]}. Check the network "
            "and the proxy (HTTPS_PROXY); hub.url names a mirror in the building. What was fetched "
            "is kept, and the same command goes on. Without a network, carry the model's folder "
            "in: cloister models add FOLDER"
        )


def open_hub(settings: Settings) -> Hub:
    """The hub that `hub.url` names, else `HF_ENDPOINT`, else Hugging Face's own.

    No token is sent over plain http, save to this machine, and the stored login to none but Hugging
    Face's own.
    Raises UsageError where the setting is `none`, or no address.
    """
    address = settings.hub_url or os.environ.get("HF_ENDPOINT") or DEFAULT
    if address == "none":
        raise UsageError(
            "hub.url is none: nothing is fetched from a hub here. Carry the model's folder in: "
            "cloister models add FOLDER"
        )
    if not address.startswith(("https://", "http://")):
        raise UsageError(f"hub.url is “{address}”, which is no address. Begin it with https://")
    address = address.rstrip("/")
    token = _token(stored=address == DEFAULT)
    if token and address.startswith("http://") and not _on_this_machine(address):
        return Hub(
            address,
            withheld=f"The token is not sent to {address}, since http would show it on the way. "
            "Begin hub.url with https:// to send it.",
        )
    return Hub(address, token)


@contextmanager
def online() -> Iterator[None]:
    """Let huggingface_hub reach its hub until this ends, and no longer."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _on_this_machine(address: str) -> bool:
    """Whether an address is this machine's loopback, by what is written."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return ServerAddress("http", host, 80).loopback


def _token(stored: bool) -> str | None:
    """From the environment, or, if `stored`, the file of `hf auth login`.

    huggingface_hub's own function may write that file.
    """
    from huggingface_hub import constants

    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    path = os.environ.get("HF_TOKEN_PATH") or (constants.HF_TOKEN_PATH if stored else "")
    if not path:
        return None
    try:
        return Path(path).expanduser().read_text("utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _licence(info: Any) -> tuple[str, str]:
    """The licence's name and address, as the model's card or its tags have it."""
    card = info.card_data
    name = str(getattr(card, "license", None) or "")
    if name in ("", "other"):
        name = str(getattr(card, "license_name", None) or name)
    if not name:
        tags = (tag for tag in info.tags or () if tag.startswith("license:"))
        name = next(tags, "").removeprefix("license:")
    return name, str(getattr(card, "license_link", None) or "")
