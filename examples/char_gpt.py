"""A GPT that learns to write a text, character by character.

    python examples/char_gpt.py [FILE] [--quick]

Without a file it learns the given names that are shipped with minigrad, as one long text.
"""

import argparse
import math
from typing import Any

import numpy as np

from minigrad import Tensor, data, manual_seed, nn, no_grad, optim
from minigrad import functional as F
from minigrad.training import fit


class Block(nn.Module):
    """Causal self-attention, then two linear layers, each with a residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Tensor:
        h = self.norm1(x)
        later = np.triu(np.ones((x.shape[1], x.shape[1]), bool), 1)  # later positions are masked
        x = x + self.attention(h, h, h, attn_mask=later, need_weights=False)[0]
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Tokens (N, T) -> scores of the next token (N, T, vocabulary)."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        for parameter in (self.tokens.weight, self.places.weight):
            nn.init.normal_(parameter, 0.0, 0.02)

    def forward(self, tokens: Any) -> Tensor:
        x = self.tokens(tokens) + self.places(np.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def write(model: GPT, start: list[int], length: int, rng: np.random.Generator) -> list[int]:
    """Sample tokens one after the other from the distribution that the model predicts."""
    tokens = list(start)
    with no_grad():
        for _ in range(length):
            scores = model(np.array([tokens[-model.context :]])).data[0, -1]
            tokens.append(int(rng.choice(len(scores), p=F.softmax(scores.astype(float)))))
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", help="a text in UTF-8")
    parser.add_argument("--quick", action="store_true", help="a small model, 150 steps")
    arguments = parser.parse_args()
    text = data.load_text(arguments.file) if arguments.file else "\n".join(data.load_names())
    vocabulary = data.Vocabulary(text)
    tokens = vocabulary.encode(text)
    context, width, heads, layers, steps = (
        (32, 48, 4, 2, 150) if arguments.quick else (64, 128, 4, 4, 2000)
    )
    train, held_out = (
        data.Windows(part, context) for part in np.split(tokens, [len(tokens) * 9 // 10])
    )
    apart = data.Subset(held_out, np.arange(0, len(held_out), context))

    manual_seed(0)
    model = GPT(len(vocabulary), context, width, heads, layers)
    batches = data.BatchLoader(train, batch_size=32 if arguments.quick else 12, seed=0)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3 if arguments.quick else 1e-3)

    def loss(scores: Any, targets: np.ndarray) -> Any:
        return F.cross_entropy(scores.reshape(-1, len(vocabulary)), targets.ravel())

    history = fit(
        model,
        batches,
        loss,
        optimizer,
        steps=steps,
        every=steps // 5,
        validation=data.BatchLoader(apart, batch_size=64, shuffle=False),
        schedule=optim.CosineAnnealingLR(optimizer, steps),
        clip_norm=1.0,
    )
    held_out_loss = history.last["validation_loss"]
    print(vocabulary.decode(write(model, [0], 300, np.random.default_rng(0))))
    print(f"held-out loss {held_out_loss:.4f}, of {math.log(len(vocabulary)):.4f} for guessing")


if __name__ == "__main__":
    main()
