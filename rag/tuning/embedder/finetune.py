"""From questions to a tuned embedder with its card: read, split, train, score, allow or not."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.catalog import now
from rag.errors import UsageError
from rag.files import hash_of
from rag.models.adapter import BETTER, FORCED, NO
from rag.models.folder import (
    EMBEDDER,
    MANIFEST,
    Manifest,
    fingerprint,
    hash_files,
    read_manifest,
    write_manifest,
)
from rag.models.staging import TUNING, publish, staged
from rag.settings import Settings
from rag.tuning.card import CARD
from rag.tuning.embedder.card import RECORD, Tuned, read_tuned, write_card, write_tuned
from rag.tuning.embedder.pairs import Asked, pairs, passages, read_asked
from rag.tuning.examples import split
from rag.tuning.job import CHECKPOINT, Job, Outcome, Stop, Tell
from rag.tuning.recipe import EmbedderRecipe

if TYPE_CHECKING:
    from rag.tuning.embedder.network import EmbedderNetwork
    from rag.tuning.training import Training

_PACKAGES = ("torch", "transformers", "sentence-transformers")


def finetune_embedder(
    job: Job[EmbedderRecipe], settings: Settings, tell: Tell, stop: Stop
) -> Outcome:
    """Train an embedder, or go on with one; score it and its base on what was held out.

    It is put together under a hidden name beside `out`, and gets its name when it is whole. Raises
    UsageError for data or a folder that will not do, ModelError for a base that does not load, Busy
    where another process is at it, StorageError where it cannot be written.
    """
    if job.data is None:
        raise UsageError(
            f"{job.base.name} is an embedder. Write the answers that were rated right into a file "
            "first, and give that as --data: cloister feedback export --for finetune FILE"
        )
    asked = read_asked(job.data)
    made_of = {
        "data_sha256": hash_of(job.data),
        "base_weights": fingerprint(hash_files(job.base.path)),
        **asdict(job.recipe),
    }
    if job.out.exists():
        return _finished(job, made_of)
    learned, held_out = split(asked, job.recipe.seed, job.recipe.held_out)
    label = f"{TUNING}{job.out.name}"
    job.out.parent.mkdir(parents=True, exist_ok=True)
    with staged(job.out.parent, label, keep=True, doing="tuning") as files:
        return _trained(job, settings, tell, stop, made_of, learned, held_out, files)


def _finished(job: Job[EmbedderRecipe], made_of: dict[str, Any]) -> Outcome:
    """The embedder that is there; allowed now where that is forced."""
    tuned = read_tuned(job.out) if job.out.is_dir() else None
    manifest = read_manifest(job.out) if tuned else None
    if tuned is None or manifest is None or tuned.made_of != made_of:
        raise UsageError(
            f"{job.out} is there already, and was not made with this base, these data and options. "
            "Choose another --out, or remove that folder."
        )
    if job.force and manifest.usable == NO:
        manifest = replace(manifest, usable=FORCED)
        write_card(job.out, tuned, manifest)
        write_manifest(job.out, manifest)
    return Outcome(tuned.steps, tuned.steps, manifest.usable, tuned.scores)


def _trained(
    job: Job[EmbedderRecipe],
    settings: Settings,
    tell: Tell,
    stop: Stop,
    made_of: dict[str, Any],
    learned: list[Asked],
    held_out: list[Asked],
    files: Path,
) -> Outcome:
    from rag.tuning.embedder.batching import passes
    from rag.tuning.embedder.network import EmbedderNetwork
    from rag.tuning.training import Training

    network = EmbedderNetwork(job.base, settings.embedder_device, job.recipe)
    recipe = job.recipe
    batches = list(passes(pairs(learned), recipe.batch, recipe.epochs, recipe.seed))
    held_pairs = pairs(held_out)
    if not batches or not network.pieces(held_pairs):
        raise UsageError(
            f"{job.data} has too few passages to tell one from another. Add questions, or passages "
            "that do not answer."
        )
    every = passages([*learned, *held_out])
    tell(
        f"{len(learned):,} questions to learn from, {len(held_out):,} held out, {len(every):,} "
        f"passages; on {network.device}"
    )
    training = Training(
        network, recipe, batches, held_pairs, files.parent / CHECKPOINT, made_of, tell
    )
    ended = training.run(job.ending(stop))
    outcome = Outcome(training.done, training.steps)
    if not ended:
        return outcome
    network.save(files)
    tuned = _tuned(job, network, training, made_of, {
        "learned": len(learned), "held_out": len(held_out), "passages": len(every),
    })  # fmt: skip
    del network, training, batches  # their memory is needed to score
    gc.collect()
    scores = _scores(job, settings, tell, stop, held_out, every, files)
    if scores is None:
        return outcome
    for name, found in scores.items():
        tuned.scores[name] = tuned.scores.get(name, {}) | found
    return _published(job, tuned, files)


def _tuned(
    job: Job[EmbedderRecipe],
    network: EmbedderNetwork,
    training: Training,
    made_of: dict[str, Any],
    counts: dict[str, int],
) -> Tuned:
    """What is known before scoring: the losses of the base and of the tuned embedder among it."""
    losses = {"base": training.looks[0].loss, "tuned": training.best.loss}
    return Tuned(
        base=job.base.name,
        base_revision=job.base.revision,
        made_of=made_of,
        scores={name: {"loss": round(loss, 4)} for name, loss in losses.items()},
        counts=counts,
        **job.told_of(training, network.device, _PACKAGES),
    )


def _scores(
    job: Job[EmbedderRecipe],
    settings: Settings,
    tell: Tell,
    stop: Stop,
    held_out: Sequence[Asked],
    every: Sequence[str],
    files: Path,
) -> dict[str, dict[str, Any]] | None:
    """The scores of the base and of the tuned embedder, and the gain; None where `stop` said so
    before.
    """
    from rag.tuning.embedder.scoring import means, score
    from rag.tuning.gain import GAIN, gain

    rows = {}
    for name, folder in (("base", job.base.path), ("tuned", files)):
        if stop():
            return None
        tell(f"scoring the {name} embedder on what was held out")
        device, precision = settings.embedder_device, settings.embedder_precision
        rows[name] = score(folder, device, precision, held_out, every)
    each = {name: [row["ndcg@10"] for row in found] for name, found in rows.items()}
    scores: dict[str, dict[str, Any]] = {name: means(found) for name, found in rows.items()}
    return scores | {GAIN: gain("nDCG@10", each["base"], each["tuned"])}


def _published(job: Job[EmbedderRecipe], tuned: Tuned, files: Path) -> Outcome:
    """Give the embedder its record, card, checksums and name."""
    from rag.tuning.embedder.scoring import is_better

    better = is_better(tuned.scores["tuned"], tuned.scores["base"])
    usable = BETTER if better else FORCED if job.force else NO
    write_tuned(files, tuned)
    (files / CARD).unlink(missing_ok=True)
    (files / MANIFEST).unlink(missing_ok=True)
    hashes = hash_files(files)
    manifest = Manifest(
        name=job.out.name,
        task=EMBEDDER,
        # the seconds that it took make no other embedder
        revision=fingerprint({n: digest for n, digest in hashes.items() if n != RECORD}),
        licence=job.base.licence,
        source=f"tuned from {job.base.name}@{job.base.revision}",
        download_bytes=0,
        files=hashes,
        fetched_at=now(),
        usable=usable,
    )
    write_card(files, tuned, manifest)
    publish(files, job.out, manifest)
    return Outcome(tuned.steps, tuned.steps, usable, tuned.scores)
