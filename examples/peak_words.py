"""A simple peer for peaks: logistic regression on counts of 6-mers (both strands as one) around each 128-bp bin."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

SIZE, AROUND, BIN = 6, 256, 128


def _canonical() -> np.ndarray:
    """For each 6-mer its number among those that are no other's reverse complement."""
    numbers, found = np.zeros(4**SIZE, np.int64), {}
    for code, word in enumerate(itertools.product(range(4), repeat=SIZE)):
        turned = tuple(3 - base for base in reversed(word))
        numbers[code] = found.setdefault(min(word, turned), len(found))
    return numbers


NUMBERS = _canonical()
FEATURES = int(NUMBERS.max()) + 1


def count_words(codes: np.ndarray) -> np.ndarray:
    """[bin, word] square roots of counts in 256 bp around each bin of a sequence; words with N do not count."""
    known = codes < 4
    powers = 4 ** np.arange(SIZE)[::-1]
    words = np.lib.stride_tricks.sliding_window_view(np.where(known, codes, 0), SIZE) @ powers
    whole = np.lib.stride_tricks.sliding_window_view(known, SIZE).all(axis=1)
    counts = np.zeros((len(codes) // BIN, FEATURES), np.float32)
    margin = (AROUND - BIN) // 2
    for row in range(len(counts)):
        begin, end = max(row * BIN - margin, 0), min((row + 1) * BIN + margin, len(codes)) - SIZE + 1
        own = NUMBERS[words[begin:end][whole[begin:end]]]
        counts[row] = np.bincount(own, minlength=FEATURES)
    return np.sqrt(counts)


def fit(features: np.ndarray, labels: np.ndarray, steps: int = 1500, batch: int = 1024, decay: float = 1e-4):
    """Weights and biases, one column for each track, by Adam on the cross entropy with an L2 penalty."""
    rate = np.clip(labels.mean(axis=0), 1e-5, None)
    state = {"weight": jnp.zeros((features.shape[1], labels.shape[1])), "bias": jnp.log(rate / (1 - rate))}
    optimiser = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    inner, random = optimiser.init(state), np.random.default_rng(0)

    @jax.jit
    def step(state, inner, x, y):
        def loss(state):
            logits = x @ state["weight"] + state["bias"]
            return optax.sigmoid_binary_cross_entropy(logits, y).mean() + decay * jnp.sum(state["weight"] ** 2)

        updates, inner = optimiser.update(jax.grad(loss)(state), inner)
        return optax.apply_updates(state, updates), inner

    for _ in range(steps):
        rows = random.integers(0, len(features), batch)
        state, inner = step(state, inner, features[rows], labels[rows].astype(np.float32))
    return np.asarray(state["weight"]), np.asarray(state["bias"])
