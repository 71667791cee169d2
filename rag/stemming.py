"""Words of many languages, as the lexical index knows them.

Languages with a Snowball stemmer (https://snowballstem.org) are stemmed by it; other alphabetic
ones are cut after six letters, which finds most inflected forms (McNamee & Mayfield 2004). Scripts
without spaces between words are read as pairs of characters (Nie et al. 2000).
"""

from __future__ import annotations

import re
from functools import lru_cache

import tantivy

# BCP 47 primary tags of the languages that tantivy has a stemmer of Snowball's for
SNOWBALL = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
# alphabetic languages with many inflected forms and no stemmer here
CUT = frozenset("be bg bs ca cs et ga hr is lt lv mk pl sk sl sq sr uk".split())
# those of them that it has lists of words that carry nothing for
_STOP_WORDS = frozenset(
    "danish dutch english finnish french german hungarian italian norwegian portuguese russian "
    "spanish swedish".split()
)
_LETTERS = 6
_LONGEST = 80
# Thai, Lao, Burmese and Khmer; kana; Chinese characters; Hangul
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)


def segmented(text: str) -> str:
    """The text with runs of a script without spaces as its pairs of characters, spaced."""
    return _UNSPACED.sub(_pairs, text)


def stems(text: str, language: str) -> list[str]:
    """The words of a text in this language (BCP 47): lower case, stemmed, without accents."""
    found: list[str] = _analyzer(primary(language)).analyze(segmented(text))
    return [word[:_LETTERS] for word in found] if primary(language) in CUT else found


@lru_cache(50_000)
def stem(word: str, language: str) -> str:
    """One word as `stems` has it; empty for one that carries nothing in this language."""
    if not _analyzer(primary(language), stop=True).analyze(word):
        return ""
    return "".join(stems(word, language)[:1])


def primary(language: str) -> str:
    """The language of a tag, without region and script: `de` of `de-AT`."""
    return language.partition("-")[0].lower()


def _pairs(run: re.Match[str]) -> str:
    text = run.group()
    pairs = [text[at : at + 2] for at in range(len(text) - 1)] or [text]
    return f" {' '.join(pairs)} "


@lru_cache
def _analyzer(language: str, stop: bool = False) -> tantivy.TextAnalyzer:
    name = SNOWBALL.get(language, "")
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST))
        .filter(tantivy.Filter.lowercase())
    )
    if stop and name in _STOP_WORDS:
        builder = builder.filter(tantivy.Filter.stopword(name))
    if name:
        builder = builder.filter(tantivy.Filter.stemmer(name))
    return builder.filter(tantivy.Filter.ascii_fold()).build()
