"""Train a tiny language model on token shards with PyTorch on the CPU, with exact resume.

    make demo && pip install 'curation[torch]'
    python docs/train_tiny_model.py demo --steps 300

Stop it at any time and run it again: it resumes from its checkpoint at exactly the next row. Each document is modeled
on its own: positions restart with each document, attention stays within it, and no token is predicted from another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from curation.tokenize.loading.loader import TokenDataset, attention_mask

WIDTH, HEADS, LAYERS = 128, 4, 2


class Block(nn.Module):
    """A transformer layer: attention and a perceptron, each with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: activations, of shape (rows, length, WIDTH).
            mask: of shape (rows, 1, length, length), true where a token may attend to another.

        Returns:
            Activations of the shape of `x`.
        """
        rows, length, _ = x.shape
        parts = self.mix(self.norms[0](x)).view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, WIDTH))
        return x + self.perceptron(self.norms[1](x))


class Model(nn.Module):
    """A transformer with learned positions, whose output layer is the token embedding."""

    def __init__(self, vocabulary: int, length: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(length, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean cross-entropy of each token given the tokens before it in its document."""
        ids, segments = batch["input_ids"], batch["segment_ids"]
        mask = torch.from_numpy(attention_mask(segments.numpy()))[:, None]
        x = self.tokens(ids) + self.positions(batch["position_ids"])
        for block in self.blocks:
            x = block(x, mask)
        logits = self.norm(x[:, :-1]) @ self.tokens.weight.T
        same = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] >= 0)
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].where(same, -100).flatten())


def train(folder: str, checkpoint: Path, steps: int, batch_size: int = 4, every: int = 20) -> list[float]:
    """Train up to step `steps`, from the checkpoint if it exists.

    Args:
        folder: output folder of a run.
        checkpoint: file to resume from and to save to.
        steps: total number of steps, including those before the checkpoint.
        batch_size: rows per step.
        every: steps between checkpoints.

    Returns:
        The loss of each step of this call.
    """
    torch.manual_seed(0)
    dataset = TokenDataset(folder, batch_size, seed=0, positions=True)
    loader: Any = dataset.loader
    model = Model(loader.vocabulary, loader.sequence_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    done, losses = 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        dataset.load_state_dict(state["data"])
        done = state["step"]
    for step, batch in zip(range(done + 1, steps + 1), dataset, strict=False):
        loss = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % every == 0 or step == steps:
            print(f"step {step:4d}  loss {sum(losses[-every:]) / len(losses[-every:]):.3f}", flush=True)
            data = dataset.state_at(step * batch_size)
            parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "data": data, "step": step}
            torch.save(parts, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    return losses


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", help="output folder of a run, such as demo")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--checkpoint", type=Path, default=Path("tiny_model.pt"))
    options = parser.parse_args()
    train(options.folder, options.checkpoint, options.steps)


if __name__ == "__main__":
    main()
