"""From examples to an adapter with its card: read, split, train, score, allow or not."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rag.errors import Busy, UsageError
from rag.files import hash_of
from rag.models.adapter import (
    BETTER,
    CONFIG,
    FORCED,
    NO,
    RECORD,
    WEIGHTS,
    AdapterRecord,
    hash_adapter,
    read_record,
    weights_fingerprint,
    write_record,
)
from rag.prompting import PROMPT_VERSION
from rag.settings import Settings
from rag.tuning.card import CARD, LOG, Log, read_log, write_card, write_log
from rag.tuning.encoding import Encoded, Encoder, stop_tokens
from rag.tuning.examples import Example, read_examples, split
from rag.tuning.fitting import refuse_unfit_base
from rag.tuning.job import CHECKPOINT, Job, Outcome, Stop, Tell
from rag.tuning.recipe import Recipe

_OWN = {CONFIG, WEIGHTS, RECORD, CARD, LOG, CHECKPOINT}
_PACKAGES = ("torch", "transformers", "peft")


def finetune(job: Job[Recipe], settings: Settings, tell: Tell, stop: Stop) -> Outcome:
    """Train an adapter, or go on with one; score it and its base on what was held out.

    `tell` hears a line now and then; where `stop` says so the work ends soon, and the same job goes
    on with it later. Raises UsageError for data or a folder that will not do, ModelError for a base
    that does not fit or load, Busy where another process is at it, StorageError where the folder
    cannot be written to.
    """
    examples = read_examples(job.data) if job.data else list(job.given)
    made_of = {
        "data_sha256": hash_of(job.data) if job.data else _hash_of_examples(examples),
        "base_weights": weights_fingerprint(job.base),
        "prompt_version": PROMPT_VERSION,
        **asdict(job.recipe),
    }
    with _claimed(job.out):
        if record := read_record(job.out):
            return _finished(job, record, made_of)
        learned, held_out = split(examples, job.recipe.seed, job.recipe.held_out)
        return _trained(job, settings, tell, stop, made_of, learned, held_out)


def _hash_of_examples(examples: Sequence[Example]) -> str:
    lines = "".join(f"{json.dumps(asdict(example))}\n" for example in examples)
    return hashlib.sha256(lines.encode()).hexdigest()


def _finished(job: Job[Recipe], record: AdapterRecord, made_of: dict[str, Any]) -> Outcome:
    """The adapter that is there; allowed now where that is forced.

    What an end at the wrong moment left undone is done: its card, and its checkpoint's removal.
    """
    log = read_log(job.out)
    if record.made_of != made_of:
        raise UsageError(
            f"{job.out} holds an adapter that was made with other data or options. Choose another "
            "--out, or delete that folder."
        )
    if job.force and record.usable == NO:
        fields = {name: getattr(record, name) for name in AdapterRecord.__slots__}
        record = AdapterRecord(**fields | {"usable": FORCED})
        write_record(job.out, record)
    write_card(job.out, record, log)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    return Outcome(log.steps, log.steps, record.usable, record.scores)


def _trained(
    job: Job[Recipe],
    settings: Settings,
    tell: Tell,
    stop: Stop,
    made_of: dict[str, Any],
    learned: Sequence[Example],
    held_out: Sequence[Example],
) -> Outcome:
    """Train the adapter, then score and record it."""
    from rag.tuning.batching import passes
    from rag.tuning.network import Network
    from rag.tuning.training import Training

    refuse_unfit_base(job.base, settings, job.recipe.max_tokens)
    network = Network(job.base, settings.llm_device, job.recipe.rank, job.recipe.seed)
    stops = stop_tokens(network.model, network.tokenizer)
    encoder = Encoder(network.tokenizer, stops, job.recipe.max_tokens, settings.llm_template)
    rows, held_rows = encoder.encode_all(learned), encoder.encode_all(held_out)
    left_out = len(learned) + len(held_out) - len(rows) - len(held_rows)
    if not rows or not held_rows:
        raise UsageError(
            f"No example that may be {'held out' if rows else 'learned from'} has at most "
            f"{job.recipe.max_tokens:,} tokens (--max-tokens). Raise that, or shorten the passages."
        )
    tell(
        f"{len(rows):,} examples to learn from, {len(held_rows):,} held out, {left_out:,} left out "
        f"as longer than {job.recipe.max_tokens:,} tokens; on {network.device}"
    )
    recipe, encoded = job.recipe, [encoded for _, encoded in rows]
    training = Training(
        network,
        recipe,
        list(passes(encoded, recipe.batch, recipe.epochs, recipe.seed)),
        [encoded for _, encoded in held_rows],
        job.out / CHECKPOINT,
        made_of,
        tell,
    )
    ended = training.run(job.ending(stop))
    outcome = Outcome(training.done, training.steps)
    if not ended:
        return outcome
    network.save(job.out)
    log = Log(
        **job.told_of(training, network.device, _PACKAGES),
        examples={"learned": len(rows), "held_out": len(held_rows), "left_out": left_out},
        parameters=sum(p.numel() for p in network.parameters),
    )
    losses = training.looks[0].loss, training.best.loss
    del network, training, encoder  # their memory is needed to score
    gc.collect()
    scores = _scores(job, settings, tell, stop, held_rows, losses)
    if scores is None:
        return outcome
    return replace(outcome, usable=_recorded(job, made_of, scores, log), scores=scores)


def _scores(
    job: Job[Recipe],
    settings: Settings,
    tell: Tell,
    stop: Stop,
    held_out: Sequence[tuple[Example, Encoded]],
    losses: tuple[float, float],
) -> dict[str, Any] | None:
    """The scores of the base and of the tuned model, and the gain.

    None where `stop` said so before the end.
    """
    from rag.tuning.gain import GAIN, gain
    from rag.tuning.scoring import completions, qualities, score

    examples = [example for example, _ in held_out]
    scores: dict[str, Any] = {}
    each = {}
    for name, adapter, loss in zip(("base", "tuned"), (None, job.out), losses, strict=True):
        texts = completions(
            job.base.path,
            settings.llm_device,
            settings.llm_precision,
            adapter,
            [encoded for _, encoded in held_out],
            tell,
            stop,
            settings.llm_template,
        )
        if texts is None:
            return None
        scores[name] = score(examples, texts, loss)
        each[name] = qualities(examples, texts)
    return scores | {GAIN: gain("quality", each["base"], each["tuned"])}


def _recorded(job: Job[Recipe], made_of: dict[str, Any], scores: dict[str, Any], log: Log) -> str:
    """Write down whether the adapter may be used, with its log and card, and end the training."""
    from rag.tuning.scoring import is_better

    better = is_better(scores["tuned"], scores["base"])
    record = AdapterRecord(
        base=job.base.name,
        base_revision=job.base.revision,
        base_weights=made_of["base_weights"],
        usable=BETTER if better else FORCED if job.force else NO,
        prompt_version=PROMPT_VERSION,
        files=hash_adapter(job.out),
        made_of=made_of,
        scores=scores,
    )
    write_log(job.out, log)
    write_card(job.out, record, log)
    write_record(job.out, record)
    (job.out / CHECKPOINT).unlink(missing_ok=True)
    return record.usable


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Have the folder for oneself. Raises UsageError where something else is in it, or Busy.

    A folder that was made for this, and into which nothing was written, is removed at the end.
    """
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        names = {path.name.removesuffix(".part") for path in out.iterdir()}
        descriptor = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{out} cannot be made a folder: {error.strerror}.") from error
    if foreign := sorted(names - _OWN):
        os.close(descriptor)
        raise UsageError(
            f"{out} holds {foreign[0]}, which is no part of an adapter. Choose a new folder "
            "(--out)."
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Busy(
            f"Another process is making the adapter in {out}. Wait until it ends."
        ) from error
    try:
        yield
    finally:
        if made and not any(out.iterdir()):
            out.rmdir()
        os.close(descriptor)
