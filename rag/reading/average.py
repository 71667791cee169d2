"""Averages readers: `python -m rag.reading.average FIRST SECOND --out FILE`.

The mean of the weights of trainings that went on from one another, or began alike, is often better
than each on what none of them has seen (Wortsman et al. 2022, “Model soups”). The longer a
training, the larger its logits; `--temperature` brings them back to the size that is reckoned with
where they are mixed with other signals (Guo et al. 2017, “On Calibration of Modern Neural
Networks”).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rag.reading import WEIGHTS


def average(paths: Sequence[Path], out: Path, temperature: float = 1.0) -> None:
    """Write the mean of the weights at `paths`, computed in float32 and stored in bfloat16.

    Those of the head are divided by `temperature`, and so are its logits. Raises ValueError where
    the weights are not of the same shapes.
    """
    first, *others = [load_file(path) for path in paths]
    shapes = {name: value.shape for name, value in first.items()}
    if any({name: value.shape for name, value in one.items()} != shapes for one in others):
        raise ValueError("the weights are not of the same shapes")
    mean = {
        name: torch.stack([one[name].float() for one in (first, *others)]).mean(dim=0)
        for name in shapes
    }
    mean |= {name: mean[name] / temperature for name in mean if name.startswith("head.")}
    save_file({name: v.to(torch.bfloat16).contiguous() for name, v in mean.items()}, out)


def main() -> None:
    """Read the arguments and write the mean."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    average(given.weights, given.out, given.temperature)


if __name__ == "__main__":
    main()
