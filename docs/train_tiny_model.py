"""Train a tiny language model on token shards with PyTorch on the CPU: the loader in a training loop, resume included.

    make demo && pip install 'curation[torch]'
    python docs/train_tiny_model.py demo --steps 300

Stop it at any time and run it again: it goes on from its checkpoint at exactly the next row. A document sees itself
alone: positions begin anew with each, attention stays inside it, and no token is predicted from another document.
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
    """A transformer layer: attention, then a perceptron, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (rows, length, WIDTH); mask: (rows, 1, length, length), true where a token may look."""
        rows, length, _ = x.shape
        parts = self.mix(self.norms[0](x)).view(rows, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, WIDTH))
        return x + self.perceptron(self.norms[1](x))


class Model(nn.Module):
    """Token and position embeddings, the layers, and logits by the token embedding."""

    def __init__(self, vocabulary: int, length: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(length, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean cross-entropy of each token given those before it in its document."""
        ids, segments = batch["input_ids"], batch["segment_ids"]
        mask = torch.from_numpy(attention_mask(segments.numpy()))[:, None]
        x = self.tokens(ids) + self.positions(batch["position_ids"])
        for block in self.blocks:
            x = block(x, mask)
        logits = self.norm(x[:, :-1]) @ self.tokens.weight.T
        same = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] >= 0)
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].where(same, -100).flatten())


def train(folder: str, checkpoint: Path, steps: int, batch_size: int = 4, every: int = 20) -> list[float]:
    """Train up to step `steps`, from the checkpoint if there is one; returns the loss of each step made now."""
    torch.manual_seed(0)
    dataset = TokenDataset(folder, batch_size, seed=0, positions=True)
    loader: Any = dataset.loader
    model = Model(int(loader.sets[0].metadata["curation.vocabulary"]), loader.sequence_length)
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
    """Train on the run in the folder named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", help="output folder of a run, such as demo")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--checkpoint", type=Path, default=Path("tiny_model.pt"))
    options = parser.parse_args()
    train(options.folder, options.checkpoint, options.steps)


if __name__ == "__main__":
    main()
