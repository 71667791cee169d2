"""What is said of all documents that a question means, where it names no topic."""

from __future__ import annotations

from rag.catalog import Catalog
from rag.catalog.holdings import Order, Scope, count_holdings, kinds_held, list_holdings
from rag.catalog_questions import CatalogQuestion
from rag.inventory_reply import FEW, MOST_LISTED, Listed, Reply
from rag.inventory_wording import (
    kinds_named,
    left_out,
    length_of,
    line_of,
    noun_of,
    number_of,
    where_of,
    whole_of,
)

_PURPOSE = (
    "Cloister answers questions from the documents of this library, cites where each answer "
    "stands, and says so where they have none."
)
_BESIDES = (
    "It also says which documents there are: ask which there are on a topic, how many there are, "
    "of which kinds, which is the newest or the longest, or what changed since a day."
)


def said_of_all(catalog: Catalog, asked: CatalogQuestion, scope: Scope) -> Reply:
    """The answer. It is empty where nothing is found for a doubtful question."""
    holdings, reply = count_holdings(catalog, scope), Reply()
    n = holdings.documents
    if asked.doubtful and not n:
        reply.empty = True
        return reply
    if asked.wanted in ("newest", "oldest", "longest") and n:
        _say_ranked(catalog, reply, asked, scope)
        return reply
    if asked.wanted == "count":
        reply.short = str(n)
    elif asked.wanted == "exists":
        reply.short = "yes" if n else "no"
    elif asked.wanted == "purpose":
        reply.say(_PURPOSE)
    has = f"{whole_of(scope)} has {number_of(n, scope)}"
    if not (n or asked.narrowed or holdings.waiting):
        has += " yet"
    if n and asked.wanted == "exists":
        has = f"Yes: {has[:1].lower()}{has[1:]}"
    if n and asked.wanted == "kinds":
        reply.say(f"{has}: {kinds_named(kinds_held(catalog, scope))}.")
    elif not n or asked.wanted not in ("list", "exists"):
        reply.say(f"{has}.")
    else:
        order: Order = "newest" if scope.since else "source"
        found = list_holdings(catalog, scope, order, MOST_LISTED)
        first = f"; the {'newest' if scope.since else 'first'} {MOST_LISTED} are"
        reply.say(f"{has}{first if n > MOST_LISTED else ''}:")
        reply.say_each(map(Listed, found), dated=bool(scope.since))
    for text in left_out(holdings):
        reply.say(text)
    if asked.wanted == "purpose":
        reply.say(_BESIDES)
    return reply


def _say_ranked(catalog: Catalog, reply: Reply, asked: CatalogQuestion, scope: Scope) -> None:
    """The newest, oldest or longest documents."""
    orders: dict[str, Order] = {"newest": "newest", "longest": "longest"}
    order = orders.get(asked.wanted, "oldest")
    found = list_holdings(catalog, scope, order, FEW if asked.many else 1)
    one, many = noun_of(scope)
    number = f"{len(found)} {order} {many}" if len(found) > 1 else f"{order} {one}"
    reply.say(f"The {number}{where_of(scope)}:")
    for held in found:
        more = length_of(held) if order == "longest" else ""
        reply.say(line_of(held, order != "longest", more), Listed(held))
    reply.short = found[0].title if found else None
