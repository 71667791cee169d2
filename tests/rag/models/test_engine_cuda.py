"""On a GPU, what is recorded in quicker ways writes what `generate` writes; skipped without one."""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import Any

import pytest
import torch

from rag.models.batch import quickened
from rag.models.batch import recorder as recording
from rag.models.batch.request import Request
from rag.models.batch.sampling import Sampler
from rag.models.threads import with_all_cores
from rag.models.writer import Writer
from tests.rag.models.tiny_models import CONFIGS, VOCABULARY, make_tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
_NEW = 9


def replayed(recorded: Any) -> float:
    """The more ways the faster, compiled layers more than all others."""
    recorded.replay()
    return -float(sum(10 if way.name == "compiled" else 1 for way in recorded.ways))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("graphs", ["uncompiled", "auto"])
def test_recorded_steps_write_what_generate_writes(
    name: str, graphs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is right is taken to be faster, so that it is what writes."""
    halvings = itertools.count()
    monkeypatch.setattr(recording, "_seconds", lambda work: (work(), 0.9 ** next(halvings))[1])
    monkeypatch.setattr(recording, "_replayed", replayed)
    monkeypatch.setattr(quickened, "_WORTH", 0.0)
    model = make_tiny(name).to("cuda")
    writer = with_all_cores(partial(Writer, model, 3, None, graphs, 320))
    assert writer.loop is not None
    assert writer.loop._recorder is not None
    if name == "llama":
        assert ("compiled" in writer.loop._recorder.ways) == (graphs == "auto")
    prompts = [random.Random(size).choices(range(3, VOCABULARY), k=size) for size in (9, 250, 31)]
    asked = [Request(ids, Sampler(model, {"max_new_tokens": _NEW}, ids), None) for ids in prompts]
    right = []
    for ids in prompts:
        given = torch.tensor([ids], device="cuda")
        whole = model.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=_NEW
        )
        right.append(whole[0, len(ids) :].tolist())
    for one in asked:
        writer.submit(one)
    assert [list(one.tokens()) for one in asked] == right
    writer.close(10)
    assert not any("forward" in vars(module) for module in model.modules())
