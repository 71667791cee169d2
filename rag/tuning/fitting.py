"""A base is tuned only where there is memory for it: refused before its weights are read."""

from __future__ import annotations

from rag.errors import ModelError
from rag.models.fit import needed
from rag.models.fitting import gigabytes, precision_for
from rag.models.folder import ModelFolder
from rag.models.hardware import empty_cuda, memory_for
from rag.models.quantized import stored_bytes
from rag.models.shape import read_config
from rag.settings import Settings


def training_precision(device: str) -> str:
    """The numbers that a frozen base is held in on a torch device."""
    import torch

    mixed = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    return "bfloat16" if mixed else "float32"


def refuse_unfit_base(base: ModelFolder, settings: Settings, tokens: int) -> None:
    """Raises ModelError where a base cannot be trained, or scored then, in the memory that is free.

    Counted are its weights and one example of so many tokens at a time: what a step keeps beside
    them is fitted to what is free. `llm.check_fit` off leaves all of it to chance.
    """
    if not settings.llm_check_fit:
        return
    config = read_config(base.path)
    empty_cuda()
    memory = memory_for(settings.llm_device)
    training = training_precision(memory.device)
    scoring = precision_for(settings.llm_precision, memory.device)
    for what, precision in (("trained", training), ("scored", scoring)):
        need = needed(
            config, precision, tokens, 1, memory.device, stored=stored_bytes(base.path)
        ).peak
        if need > memory.free:
            raise ModelError(
                f"The model {base.name} needs {gigabytes(need)} of {memory.name} to be {what}, in "
                f"{precision}, and {gigabytes(memory.free)} are free. Take a smaller base, a "
                "smaller --max-tokens, or a machine with more memory; llm.check_fit false tries "
                "it nevertheless."
            )
