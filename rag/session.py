"""How a command reaches the library: through the running server, else by itself.

Two processes never open the same indexes. Where a server holds the library the command asks it
over loopback, once it has proved that it is that server; where nobody does, the command takes the
lock and loads what it needs.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from rag.errors import Busy, CloisterError
from rag.identity import is_proof, new_challenge
from rag.lock import find_holder, in_use, take_library_lock
from rag.records import NO_FILTERS, Filters, Question, to_json
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.library import Library
    from rag.questioning.proposing import Proposal
    from rag.questioning.targets import Target

TIMEOUT_SECONDS = 300.0
# a server that has just been started takes a moment before it says anything
PROOF_SECONDS = 30.0
_LONGEST_PROOF = 4096


class Session(Protocol):
    """What a command may ask of a library, wherever it is open."""

    def search(
        self,
        query: str,
        collections: Sequence[str] | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> list[Mapping[str, Any]]:
        """The best passages, as JSON values."""

    def ask(self, question: Question) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The events of an answer as (name, data)."""

    def replay(self, answer_id: str) -> Mapping[str, Any]:
        """A recorded answer made again, as JSON values; see `rag.replaying`."""

    def propose(self, target: Target) -> Proposal:
        """A question about a sentence, by the LLM in use; see `rag.questioning.proposing`."""


@contextmanager
def open_session(
    settings: Settings,
    what: str,
    llm: bool = True,
    indexes: bool = True,
    question: Question | None = None,
) -> Iterator[Session]:
    """A session for the command `what`. Raises Busy where another command has the library.

    Where this process opens the library, `llm` False leaves the LLM out, and `indexes` False
    all that takes time: then it answers from the catalog only. The LLM that is loaded is the one
    that `question` chooses, where it or its collection does.
    """
    holder = find_holder(settings)
    if holder is not None and holder.address:
        yield RemoteSession(holder.address, holder.token)
        return
    from rag.library import Library

    with take_library_lock(settings, what):
        library = Library(settings)
        try:
            if indexes and llm and question is not None:
                library.settings = _chosen_for(library, question)
            if indexes:
                library.load(llm=llm)
            yield LocalSession(library)
        finally:
            library.close()


def _chosen_for(library: Library, question: Question) -> Settings:
    """The library's settings with the LLM that a question chooses. Raises as `Library.ask`."""
    from rag.llm_shelf import settings_for
    from rag.model_pick import find_pick, name_in_use

    name = library.model_for(question)
    if name in ("", name_in_use(library.other_llms.in_use)):
        return library.settings
    return settings_for(library.settings, find_pick(library.settings, name))


class LocalSession:
    """The library opened by this process."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def search(
        self,
        query: str,
        collections: Sequence[str] | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> list[Mapping[str, Any]]:
        """The best passages, as JSON values."""
        found = self.library.search(query, collections, limit, filters)
        return [to_json(passage) for passage in found]

    def ask(self, question: Question) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The events of an answer as (name, data)."""
        for event in self.library.ask(question):
            yield event.name, event.data

    def replay(self, answer_id: str) -> Mapping[str, Any]:
        """A recorded answer made again, as JSON values."""
        from rag.replaying import replay

        found: Mapping[str, Any] = to_json(replay(self.library, answer_id))
        return found

    def propose(self, target: Target) -> Proposal:
        """A question about a sentence, by the LLM in use."""
        from rag.questioning.proposing import propose

        return propose(self.library, target)


class RemoteSession:
    """The library of a server on this machine, which proves itself by `token`."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token

    def search(
        self,
        query: str,
        collections: Sequence[str] | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> list[Mapping[str, Any]]:
        """The best passages, as JSON values."""
        body: dict[str, Any] = {"query": query, "limit": limit, **_given(collections, filters)}
        with self._post("/api/v1/search", body) as response:
            found: list[Mapping[str, Any]] = json.load(response)["passages"]
            return found

    def ask(self, question: Question) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The events of an answer as (name, data)."""
        body: dict[str, Any] = {
            "question": question.text,
            "history": to_json(question.history),
            "parameters": dict(question.parameters),
            "stream": True,
            **({"model": question.model} if question.model else {}),
            **_given(question.collections, question.filters),
        }
        with self._post("/api/v1/ask", body) as response:
            name = ""
            for raw in response:
                line = raw.decode("utf-8").rstrip("\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    if name == "error":
                        raise _problem(data)
                    yield name, data
            if name != "done":
                raise Busy("The server stopped before the answer was whole; ask again.")

    def replay(self, answer_id: str) -> Mapping[str, Any]:
        """A recorded answer made again, as JSON values."""
        with self._post(f"/api/v1/answers/{quote(answer_id, safe='')}/replay", {}) as response:
            return _object(response)

    def propose(self, target: Target) -> Proposal:
        """A question about a sentence, by the LLM in use."""
        from rag.questioning.proposing import Proposal

        body = {"chunk_id": target.passage.chunk_id, "start": target.start}
        with self._post("/api/v1/questions/draft", body) as response:
            return Proposal(**_object(response))

    def use_model(self, model: str, adapter: str) -> Mapping[str, Any]:
        """Begin to change the LLM; how far that is, as `model_state`."""
        path = f"/api/v1/models/{quote(model, safe='/')}/activate"
        with self._post(path, {"adapter": adapter}) as response:
            return _object(response)

    def model_state(self) -> Mapping[str, Any]:
        """Which LLM answers, and how far a change of it is, as JSON values."""
        with self._post("/api/v1/models/active", None) as response:
            return _object(response)

    def readiness(self) -> Mapping[str, str]:
        """What the server says of its parts, as `Library.readiness`."""
        with self._post("/readyz", None, accepted=503) as response:
            parts: Mapping[str, str] = _object(response)["parts"]
            return parts

    def begin_comparison(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have models compared, as `POST /api/v1/comparisons` takes it; how far that is."""
        with self._post("/api/v1/comparisons", body) as response:
            return _object(response)

    def comparison(self, name: str) -> Mapping[str, Any]:
        """How far a comparison is, and what came out."""
        with self._post(f"/api/v1/comparisons/{quote(name, safe='')}", None) as response:
            return _object(response)

    def stop_comparison(self, name: str) -> None:
        """Stop a comparison; what it answered is kept."""
        with self._post(f"/api/v1/comparisons/{quote(name, safe='')}/stop", {}) as response:
            response.read()

    @contextmanager
    def _post(
        self, path: str, body: Mapping[str, Any] | None, accepted: int = 200
    ) -> Iterator[http.client.HTTPResponse]:
        """The reply to a POST of JSON, or without a body to a GET.

        A status from 400 on that is not `accepted` is raised as the server's error.
        """
        # http.client takes no proxy from the environment: a question never leaves the machine
        where = urlsplit(self._address)
        connection = http.client.HTTPConnection(
            where.hostname or "127.0.0.1", where.port, timeout=PROOF_SECONDS
        )
        try:
            self._demand_proof(connection)
            if body is None:
                connection.request("GET", path)
            else:
                given = {"Content-Type": "application/json"}
                connection.request("POST", path, json.dumps(body), given)
            response = connection.getresponse()
            if response.status >= 400 and response.status != accepted:
                raise _problem(json.load(response))
            yield response
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Busy(f"The running server did not answer ({error}); try again.") from error
        finally:
            connection.close()

    def _demand_proof(self, connection: http.client.HTTPConnection) -> None:
        """Leave the connection open to this library's server. Raises Busy where it is another's."""
        challenge = new_challenge()
        connection.connect()
        connection.auto_open = 0  # a second connection could be to another program
        connection.request("GET", f"/identity?challenge={challenge}")
        response = connection.getresponse()
        try:
            given = json.loads(response.read(_LONGEST_PROOF))["proof"]
        except (ValueError, KeyError, TypeError):
            given = None
        if not is_proof(given, self._token, self._address, challenge):
            raise Busy(
                f"What answers at {self._address} is not this library's server, so nothing was "
                "asked of it. Stop “cloister serve” where it still runs, start it, and try again."
            )
        if connection.sock is not None:
            connection.sock.settimeout(TIMEOUT_SECONDS)


def open_server(settings: Settings) -> RemoteSession | None:
    """The running server of this library, or None where there is none.

    Raises Busy where another command has the library.
    """
    holder = find_holder(settings)
    if holder is None:
        return None
    if not holder.address:
        raise in_use(holder)
    return RemoteSession(holder.address, holder.token)


def model_in_use(settings: Settings) -> Mapping[str, str]:
    """The models and adapters that the running server uses or changes to, by what for."""
    server = open_server(settings)
    if server is None:
        return {}
    state = server.model_state()
    active, changing = state["active"] or {}, state["changing"] or {}
    if active.get("device") == "server":  # an LLM server's, which is no folder here
        active = {}
    adapter = str(active.get("adapter") or "").partition("@")[0]
    others = {}
    for kind, why in (("others", "a question chose"), ("busy", "is being loaded or still answers")):
        for name in state.get(kind) or ():
            model, _, put = str(name).partition("+")
            others[f"LLM {name}, which {why}"] = model
            others[f"adapter in {name}, which {why}"] = put
    return {
        "LLM": str(active.get("id") or ""),
        "adapter": adapter,
        "next LLM": str(changing.get("model") or ""),
        "next adapter": str(changing.get("adapter") or ""),
        **others,
    }


def _object(response: http.client.HTTPResponse) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.load(response)
    return found


def _given(collections: Sequence[str] | None, filters: Filters) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    if collections is not None:
        given["collections"] = list(collections)
    if filters.given:
        given["filters"] = {name: value for name, value in to_json(filters).items() if value}
    return given


def _problem(data: Mapping[str, Any]) -> CloisterError:
    """The server's problem document as the error it was made from."""
    status = int(data.get("status", 500))
    kinds = [CloisterError]
    while kinds:
        kind = kinds.pop()
        kinds.extend(kind.__subclasses__())
        if kind.title == data.get("title") and kind.status == status:
            return kind(str(data.get("detail", "")))
    error = CloisterError(str(data.get("detail") or data.get("title") or "The server failed."))
    if status == 503:
        error = Busy(str(error))
    return error
