"""Fills a file of drafts from sentences, whatever becomes of one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag.errors import Busy, NotFound
from rag.questioning.checks import TWICE
from rag.questioning.drafts import DraftFile
from rag.questioning.proposing import Proposal
from rag.questioning.targets import Target

if TYPE_CHECKING:
    from rag.session import Session

GONE = "its sentence is no longer in the library"
# so many sentences are tried for each draft that is wanted
PATIENCE = 12
# seconds to wait, each time that the LLM is busy, before it is asked again
_PAUSES = (1, 2, 5, 10, 20, 30)


@dataclass(slots=True)
class Filled:
    """How many drafts were `made` of so many sentences `tried`, and why the others were dropped.

    It `gave_up` where it tried so many in vain that it left the rest.
    """

    made: int = 0
    tried: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    gave_up: bool = False


def fill(
    drafts: DraftFile,
    targets: Iterable[Target],
    session: Session,
    count: int,
    tell: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> Filled:
    """Add up to `count` drafts, one of a sentence; those that have one already are passed over.

    What is made is kept at once, and told. Raises what proposing raises, Busy only when it did not
    end within a minute or so.
    """
    filled = Filled()
    for target in targets:
        if filled.made == count:
            break
        if drafts.has_target(target):
            continue
        if filled.tried == count * PATIENCE:
            filled.gave_up = True
            break
        filled.tried += 1
        try:
            proposal = _proposed(session, target, tell, wait)
        except NotFound:  # its document went, or was read anew
            filled.dropped[GONE] += 1
            continue
        wrong = proposal.wrong
        if wrong is None and drafts.has(proposal.question):
            wrong = TWICE
        if wrong is not None:
            filled.dropped[wrong] += 1
            continue
        drafts.add(target, proposal)
        filled.made += 1
        tell(f"{filled.made} of {count}: {proposal.question}")
    return filled


def _proposed(
    session: Session, target: Target, tell: Callable[[str], None], wait: Callable[[float], None]
) -> Proposal:
    for pause in _PAUSES:
        try:
            return session.propose(target)
        except Busy as error:
            tell(f"{error} Asking again in {pause} s.")
            wait(pause)
    return session.propose(target)
