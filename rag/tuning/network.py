"""The model that is tuned: a frozen base in memory, with a LoRA adapter that learns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text, write_whole
from rag.errors import ModelError
from rag.memory import free_memory
from rag.models.adapter import CONFIG, WEIGHTS, quiet_peft
from rag.models.device import be_quiet, pick_device, told_if_not_loaded
from rag.models.folder import ModelFolder
from rag.tuning.batching import Piece, pieces
from rag.tuning.encoding import Encoded
from rag.tuning.fitting import training_precision
from rag.tuning.packing import Pack, packs

# more tokens at once make a processor no faster
_CPU_TOKENS = 2048
# nor a GPU, and beside others it has its share of its memory
_GPU_TOKENS = 12288
# of the memory that is free, this share may go to what a step keeps for its gradient
_MEMORY_SHARE = 0.4
# vectors of the hidden size that a token keeps in each layer, measured on Llama-shaped models
_KEPT = 32
# float32 values that a logit keeps: itself, its logarithm and the gradients of both
_KEPT_OF_LOGIT = 4
ALPHA_OVER_RANK = 2
# which place a token has is told by its number alone, and it sees what the mask lets it see
_PACKED = ("llama",)


class Network:
    """A base with an adapter of rank `rank` on every linear layer but the last.

    On a CUDA device that has bfloat16 the base is held in it and computes in it, while the
    adapter's own weights are float32; everything is float32 elsewhere. The first weights of the
    adapter depend on the seed alone, and change nothing of what the base computes. Where `packs`,
    as a Llama on a GPU does, a batch is computed as `rag.tuning.packing` puts it together.
    """

    def __init__(self, base: ModelFolder, device: str, rank: int, seed: int) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = pick_device(device)
        self._mixed = training_precision(self.device) == "bfloat16"
        be_quiet()
        with told_if_not_loaded("LLM", base.path):
            self.tokenizer = AutoTokenizer.from_pretrained(base.path, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                base.path,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.bfloat16 if self._mixed else torch.float32,
            ).to(self.device)
        self.config = LoraConfig(
            r=rank,
            lora_alpha=ALPHA_OVER_RANK * rank,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        torch.manual_seed(seed)
        try:
            with quiet_peft():
                self.model: Any = get_peft_model(model, self.config)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"No adapter can be put on {base.name}: {error}.") from error
        self._base_name = base.name
        # an architecture without it gives the logits of all positions
        self._keeps = "logits_to_keep" in signature(model.forward).parameters
        self.most_tokens = self._room()
        self.packs = (
            self.device.startswith("cuda")
            and self._keeps
            and model.config.model_type in _PACKED
            and model.config._attn_implementation == "sdpa"
        )
        if self._mixed:
            self._spare_casts()

    @property
    def parameters(self) -> list[Any]:
        """The adapter's own weights, which learn."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def pieces(self, rows: Sequence[Encoded]) -> list[Piece | Pack]:
        """The rows in pieces that find room in memory."""
        pad = self.tokenizer.pad_token_id
        cut = packs if self.packs else pieces
        return list(cut(rows, self.most_tokens, 0 if pad is None else pad, self.device))

    def loss(self, piece: Piece | Pack) -> Any:
        """The cross-entropy of the completions' tokens, summed, as a scalar tensor."""
        from torch.nn import functional

        logits = self._packed(piece) if isinstance(piece, Pack) else self._logits(piece)
        return functional.cross_entropy(
            logits.float().flatten(0, 1), piece.targets.flatten(), reduction="sum"
        )

    def _packed(self, pack: Pack) -> Any:
        """The logits of the positions that a pack has targets for."""
        import torch

        with self._precision(torch):
            return self.model(
                input_ids=pack.ids,
                attention_mask=pack.mask(self.model.dtype),
                position_ids=pack.positions,
                use_cache=False,
                logits_to_keep=pack.targets.shape[1],
            ).logits

    def _logits(self, piece: Piece) -> Any:
        """The same of a piece."""
        import torch

        kept = piece.ids.shape[1] - piece.first
        with self._precision(torch):
            found = self.model(
                input_ids=piece.ids,
                attention_mask=piece.mask,
                past_key_values=self._head(piece),
                use_cache=piece.head is not None,
                **({"logits_to_keep": kept} if self._keeps else {}),
            )
        return found.logits[:, -kept:-1]

    def _head(self, piece: Piece) -> Any:
        """The keys and values of a piece's head, once for each of its rows; None without one."""
        if piece.head is None:
            return None
        found = self.model(
            input_ids=piece.head,
            use_cache=True,
            **({"logits_to_keep": 1} if self._keeps else {}),
        )
        found.past_key_values.batch_repeat_interleave(len(piece.ids))
        return found.past_key_values

    def state(self) -> dict[str, Any]:
        """A copy of the adapter's weights, on the CPU."""
        named = self.model.named_parameters()
        return {name: p.detach().cpu().clone() for name, p in named if p.requires_grad}

    def load(self, state: dict[str, Any]) -> None:
        """Put the adapter's weights back."""
        import torch

        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Write the adapter as peft reads it, its weights in bfloat16. Raises StorageError."""
        import torch
        from peft import get_peft_model_state_dict
        from safetensors.torch import save

        # else peft asks a hub whether the base's vocabulary was changed
        state = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        tensors = {k: v.detach().cpu().to(torch.bfloat16).contiguous() for k, v in state.items()}
        content = save(tensors, metadata={"format": "pt"})
        write_whole(folder / WEIGHTS, lambda file: file.write(content))
        self.config.inference_mode = True
        self.config.base_model_name_or_path = self._base_name
        # peft keeps names in sets, whose order changes from one process to the next
        config = {
            name: sorted(value) if isinstance(value, set) else value
            for name, value in self.config.to_dict().items()
        }
        write_text(folder / CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")

    def halve(self, rows: Sequence[Encoded]) -> bool:
        """Have smaller pieces of these rows from now on; False where each is a single row."""
        import torch

        pieces = len(self.pieces(rows))
        if pieces == len(rows):
            return False
        while len(self.pieces(rows)) == pieces:
            self.most_tokens //= 2
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return True

    def _spare_casts(self) -> None:
        """Have no input widened to the adapter's float32: autocast would narrow it again."""
        for module in self.model.modules():
            if hasattr(module, "lora_A"):
                module.cast_input_dtype_enabled = False

    def _precision(self, torch: Any) -> AbstractContextManager[Any]:
        if not self._mixed:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast("cuda", dtype=torch.bfloat16)
        return context

    def _room(self) -> int:
        """The most tokens of a piece: by free memory, and on a processor by what still pays."""
        import torch

        config = self.model.config.get_text_config()
        bytes_each = 2 if self._mixed else 4
        each = _KEPT * config.num_hidden_layers * config.hidden_size * bytes_each
        if not self._keeps:
            each += _KEPT_OF_LOGIT * config.vocab_size * 4
        if self.device.startswith("cuda"):
            free, _ = torch.cuda.mem_get_info(self.device)
            return max(1, min(_GPU_TOKENS, int(_MEMORY_SHARE * free / each)))
        return max(1, min(_CPU_TOKENS, int(_MEMORY_SHARE * free_memory() / each)))
