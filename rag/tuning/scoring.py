"""How good the completions of a model are, beside those that it should have written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rag.drafting import is_refusal
from rag.evaluation.metrics import mean, token_f1
from rag.models.engine import LocalLLM
from rag.models.templates import AUTO
from rag.tuning.encoding import Encoded
from rag.tuning.examples import Example, marks, without_marks

Scores = dict[str, float | None]

# a completion is not followed for longer: those to learn from are a sentence or two
MOST_NEW_TOKENS = 64
_TELL_SECONDS = 20.0


def completions(
    base: Path,
    device: str,
    precision: str,
    adapter: Path | None,
    encoded: Sequence[Encoded],
    tell: Callable[[str], None],
    stop: Callable[[], bool],
    template: str = AUTO,
) -> list[str] | None:
    """What a model writes for each prompt, greedily, loaded as it is loaded to answer questions.

    `tell` hears now and then how far it is. None where `stop` said so before the end.
    """
    llm = LocalLLM(base, device, precision, adapter, template)
    what = f"scoring {'with' if adapter else 'without'} the adapter"
    texts: list[str] = []
    told = time.monotonic()
    for row in encoded:
        if stop():
            return None
        done = llm.complete(row.text, formatted=True, max_new_tokens=MOST_NEW_TOKENS)
        texts.append(done.text.strip())
        if time.monotonic() - told > _TELL_SECONDS or len(texts) == len(encoded):
            tell(f"{what}: {len(texts)} of {len(encoded)}")
            told = time.monotonic()
    return texts


def score(examples: Sequence[Example], texts: Sequence[str], loss: float) -> Scores:
    """The scores of completions, one an example; `loss` is that of a token of the right ones.

    `f1` is the token F1 of the text without marks, 0 where it was declined; `cited_right` is the
    share with the right marks and no others, of those that were to be answered and were.
    `quality` is the mean over all examples: F1 where there is an answer, 1 for a right refusal.
    A score of nothing is None.
    """
    pairs = list(zip(examples, texts, strict=True))
    answerable = [(e, text) for e, text in pairs if e.answerable]
    unanswerable = [text for e, text in pairs if not e.answerable]
    answered = [(e, text) for e, text in answerable if not is_refusal(text)]
    return {
        "loss": round(loss, 4),
        "exact": mean(float(text == e.answer) for e, text in pairs),
        "f1": mean(_worth(e, text) for e, text in answerable),
        "f1_answered": mean(_worth(e, text) for e, text in answered),
        "cited_right": mean(float(marks(text) == e.cited) for e, text in answered),
        "declined_answerable": mean(float(is_refusal(text)) for _, text in answerable),
        "declined_unanswerable": mean(float(is_refusal(text)) for text in unanswerable),
        "quality": mean(qualities(examples, texts)),
    }


def qualities(examples: Sequence[Example], texts: Sequence[str]) -> list[float]:
    """The `quality` of each completion alone."""
    return [_worth(example, text) for example, text in zip(examples, texts, strict=True)]


def is_better(tuned: Scores, base: Scores) -> bool:
    """Whether an adapter may be used: a lower loss, a higher quality, and no worse an F1.

    The last is asked for so that one which merely declines everything is none.
    """
    return (
        _number(tuned, "loss") < _number(base, "loss")
        and _number(tuned, "quality") > _number(base, "quality")
        and _number(tuned, "f1") >= _number(base, "f1")
    )


def _worth(example: Example, text: str) -> float:
    if is_refusal(text):
        return float(not example.answerable)
    if not example.answerable:
        return 0.0
    return token_f1(without_marks(text), [without_marks(example.answer)])


def _number(scores: Scores, name: str) -> float:
    return scores[name] or 0.0
