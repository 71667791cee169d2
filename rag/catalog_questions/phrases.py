"""The phrases of a language, from its TOML file: patterns of questions about the library.

All are matched against text in lower case without accents. The entries:

- `one`, `many`: what one document, and several, are called; `weak` names what may be something
  else too (“presentations”), by kinds of files.
- `frames`: ways to ask, each `[wanted, pattern of the whole question, needs]`. In the patterns
  `{one}`, `{many}` and `{any}` stand for those names, also with a format (“PDF files”), `{a}` and
  `{b}` for what may stand there besides, and other names for what `parts` says. Of the groups
  `title`, `topic` and `sender` hold just that, and `dated` days, with what may stand besides. The
  needs are what must stand with it, any one of `topic`, `place` (a folder, a collection, the
  library), `days` and `day` (more exact than a month), `kind` (a kind of file), `language` and
  `sender`; `own` says that the frame itself means the library's documents, as “do you have” does
  and “are there” does not, `bare` that it has no verb at all, and `opens` that after a question
  about contents it means those (“What's new?”).
- `about`, `named`, `folder`, `collection`, `since`, `sender`: what opens such a part of a question;
  `here` names the library, and `filler` says nothing. `written` says in which language documents
  are, `{language}` being one of `languages`, which has their tags.
- `polite` may come first; `follow` opens a follow-up, and `aside` what is no topic after it; with
  `again` before it “and a document on leave?” is a question of its own.
- `clause` are words that no topic and no name has, `apart` others that no topic has, `verbs` those
  that it may begin with at most, and `ending` is what it may not end in. `articles` are words that
  may open one, `hardly` what is none by itself (“on hand”), and `surfaces` things on which
  documents may be (“on the server”). `loose` is what of `about` means something else in a frame
  without a verb (“how many documents on a pallet?”).
- `term` may come before the words of a topic, `fresh` before a title; `joins` opens its additions.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rag.catalog_questions.asked import Wanted

LANGUAGES = ("en", "de", "fr", "es", "it")
# formats as they are named in every language, and the kinds of files
FORMATS: Mapping[str, tuple[str, ...]] = {
    "pdf": ("pdf",),
    "word|docx": ("docx", "doc"),
    "excel|xlsx": ("xlsx", "xls"),
    "power ?point|pptx": ("pptx", "ppt"),
    "csv": ("csv",),
    "markdown": ("markdown",),
    "html": ("html",),
    "text": ("text", "markdown"),
    "odt": ("odt",),
    "json": ("json",),
    "xml": ("xml",),
}
# of these there is no doubt that files are meant
_BARE = "pdfs?|docx|xlsx|pptx|csvs?"
WEAK: Mapping[str, tuple[str, ...]] = {
    "sheets": ("xlsx", "xls", "ods", "csv"),
    "slides": ("pptx", "ppt", "odp"),
    "mails": ("eml", "msg"),
    "images": ("image",),
}
MAILS = WEAK["mails"]
# what one of them is called
_ONE = "pdf|e-?mail|mail|courriel|correo(?: electronico)?"
_BESIDES = {"a": "(?P<a>(?: .+?)??)", "b": "(?P<b>(?: .+)?)"}
_NAME = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One way to ask; what its fields are the head of this module says."""

    wanted: Wanted
    pattern: re.Pattern[str]
    needs: frozenset[str]
    own: bool
    bare: bool
    opens: bool


@dataclass(frozen=True, slots=True)
class Phrases:
    """What a language's file says, compiled."""

    language: str
    frames: tuple[Frame, ...]
    weak: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    one: re.Pattern[str]
    generic: re.Pattern[str]
    here: re.Pattern[str]
    filler: re.Pattern[str]
    valued: Mapping[str, re.Pattern[str]]
    languages: tuple[tuple[re.Pattern[str], str], ...]
    follow: re.Pattern[str]
    aside: re.Pattern[str]
    again: str
    loose: re.Pattern[str]
    ending: re.Pattern[str]
    term: re.Pattern[str]
    fresh: re.Pattern[str]
    joins: re.Pattern[str]
    apart: frozenset[str]
    verbs: frozenset[str]
    clause: frozenset[str]
    articles: frozenset[str]
    hardly: frozenset[str]
    surfaces: frozenset[str]


def read_phrases(language: str) -> Phrases:
    """The phrases of a language of `LANGUAGES`."""
    text = files("rag.catalog_questions").joinpath(f"{language}.toml").read_text("utf-8")
    given = tomllib.loads(text)
    parts = {**_BESIDES, **_nouns(given), **given["parts"]}
    return Phrases(
        language=language,
        frames=tuple(_frame(row, given["polite"], parts) for row in given["frames"]),
        weak=tuple((re.compile(p), WEAK[name]) for name, p in given["weak"].items()),
        one=re.compile(rf"(?:{given['one']}|{_ONE})(?: \w+)?"),
        generic=re.compile(rf"(?:{given['one']}|{given['many']})(?!\w)"),
        here=re.compile(rf"{given['here']}(?!\w)"),
        filler=re.compile(rf"{given['filler']}(?!\w)"),
        valued={
            "folder": re.compile(given["folder"]),
            "collection": re.compile(given["collection"]),
            "named": re.compile(rf"{given['named']} (?P<x>.+)"),
            "since": re.compile(rf"{given['since']}(?:(?<=')|\s)(?P<x>.+)"),
            "topic": re.compile(rf"(?P<by>{given['about']})(?:(?<=[' ])|\s)(?P<x>\S.*)"),
            "sender": re.compile(rf"{given['sender']}(?:(?<=')|\s)(?P<x>\S.*)"),
        },
        languages=tuple(
            (re.compile(given["written"].replace("{language}", name)), tag)
            for tag, name in given["languages"].items()
        ),
        follow=re.compile(rf"{given['follow']}[ ,]+(?P<b>.+)"),
        aside=re.compile(rf"{given['aside']}(?!\w)"),
        again=given["again"],
        loose=re.compile(given["loose"]),
        ending=re.compile(rf"(?<!\w){given['ending']}$"),
        term=re.compile(given["term"]),
        fresh=re.compile(rf"{given['fresh']} "),
        joins=re.compile(rf" {given['joins']}"),
        apart=frozenset(given["apart"].split()),
        verbs=frozenset(given["verbs"].split()),
        clause=frozenset(given["clause"].split()),
        articles=frozenset(given["articles"].split()),
        hardly=frozenset(given["hardly"].split()),
        surfaces=frozenset(given["surfaces"].split()),
    )


def kinds_of(noun: str, phrases: Phrases) -> tuple[tuple[str, ...], bool]:
    """The kinds of file that a document's name means, and whether it may mean other things too."""
    for pattern, kinds in FORMATS.items():
        if re.search(rf"(?<!\w)(?:{pattern})s?(?!\w)", noun):
            return kinds, False
    for weak, kinds in phrases.weak:
        if weak.fullmatch(noun):
            return kinds, True
    return (), False


def _nouns(given: Mapping[str, Any]) -> dict[str, str]:
    """The patterns of what one document, several, or either are called."""
    shape = f"(?:{'|'.join(FORMATS)})"
    rest = "|".join((_BARE, *given["weak"].values()))
    names = {"one": given["one"], "many": given["many"]}
    names["any"] = f"{given['many']}|{given['one']}"
    return {
        name: rf"(?P<noun>(?:{shape}[- ])?(?:{nouns})(?: {shape})?|{rest})"
        for name, nouns in names.items()
    }


def _frame(row: list[str], polite: str, parts: Mapping[str, str]) -> Frame:
    wanted, pattern, *flags = row
    told = frozenset(" ".join(flags).split())
    # parts may name parts
    while (whole := _NAME.sub(lambda found: parts[found[1]], pattern)) != pattern:
        pattern = whole
    compiled = re.compile(f"{polite}{pattern}")
    needs = told - {"own", "bare", "opens"}
    own, bare, opens = ("own" in told, "bare" in told, "opens" in told)
    return Frame(wanted, compiled, needs, own, bare, opens)  # type: ignore[arg-type]
