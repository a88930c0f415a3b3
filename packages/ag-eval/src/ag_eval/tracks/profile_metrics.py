"""Shape and total of the signal in windows, as ChromBPNet and ProCapNet measure them. Source: spec/scoring.md 7.3."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import jensenshannon


def profile_distance(
    truth: Float[np.ndarray, "window position"], guess: Float[np.ndarray, "window position"]
) -> Float[np.ndarray, " window"]:
    """Jensen-Shannon distance (natural logarithm: 0 to 0.833) of the shapes; NaN where either is empty or unknown.

    A stranded profile counts as one: put both strands side by side along `position`.
    """
    truth, guess = (np.asarray(x, np.float64) for x in (truth, guess))
    if truth.shape != guess.shape:
        raise ValueError(f"profiles of shapes {truth.shape} and {guess.shape}; expected the same windows")
    if (truth < 0).any() or (guess < 0).any():
        raise ValueError("a profile has negative counts; give minus strands as positive counts")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(jensenshannon(truth, guess, axis=1))  # pyright: ignore[reportCallIssue]


def log_totals(counts: Float[np.ndarray, "window position"]) -> Float[np.ndarray, " window"]:
    """log(1 + total), whose correlation is the counts' figure."""
    return np.log1p(np.sum(np.asarray(counts, np.float64), axis=1))
