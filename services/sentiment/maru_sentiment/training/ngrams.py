"""Fits the weights of the hashed n-grams: logistic regression by L-BFGS on all rows."""

import numpy as np
import numpy.typing as npt
import structlog
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags

from maru_sentiment.features import BUCKETS, Bags
from maru_sentiment.training.targets import MOOD, YES_OR_NO, Targets, losses, probabilities

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float64]

_PENALTY = 1e-4


def fit(found: Bags, targets: Targets, *, rounds: int) -> tuple[Floats, Floats]:
    """Return the weights (BUCKETS, labels) and the bias (labels) of every label.

    Moods are fitted together, the yes-or-no labels beside them, each on the rows that know it.
    """
    values = np.repeat(1 / np.sqrt(found.sizes), found.sizes).astype(np.float32)
    pointers = np.append(found.starts, len(found.buckets))
    counts = csr_matrix((values, found.buckets, pointers), shape=(len(found.sizes), BUCKETS))
    counts.sum_duplicates()
    parts = [
        _fit(counts, targets, columns, rounds)
        for columns in (MOOD, *(slice(at, at + 1) for at in range(YES_OR_NO.start, YES_OR_NO.stop)))
    ]
    weights = np.concatenate([part[:-1] for part in parts], axis=1)
    return weights, np.concatenate([part[-1] for part in parts])


def _fit(counts: csr_matrix, targets: Targets, columns: slice, rounds: int) -> Floats:
    known = np.asarray(targets.weights[:, columns].any(axis=1))
    rows = counts[known]
    emphasis = _emphasis(rows)
    met = np.flatnonzero(emphasis)
    rows = (rows[:, met] @ diags(emphasis[met])).tocsr()
    backwards = rows.T.tocsr()
    of = targets.part(known, columns)
    total = max(of.weights.max(axis=1, initial=0).sum(), 1e-9)
    shape = (len(met) + 1, of.answers.shape[1])
    exclusive = columns == MOOD

    def value(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(shape)
        logits = rows @ parameters[:-1] + parameters[-1]
        slope = of.weights * (probabilities(logits, exclusive=exclusive) - of.answers) / total
        gradient = np.vstack([backwards @ slope, slope.sum(axis=0)])
        gradient[:-1] += _PENALTY * parameters[:-1]
        loss = losses(logits, of, exclusive=exclusive).sum() / total
        return float(loss + 0.5 * _PENALTY * (parameters[:-1] ** 2).sum()), gradient.ravel()

    result = minimize(
        value,
        np.zeros(shape[0] * shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "maxcor": 8},
    )
    log.info("training.ngrams", columns=str(columns), loss=float(result.fun), rounds=result.nit)
    fitted = result.x.reshape(shape)
    found = np.zeros((BUCKETS + 1, shape[1]))
    found[met] = fitted[:-1] * emphasis[met, None]
    found[-1] = fitted[-1]
    return found


def _emphasis(counts: csr_matrix) -> Floats:
    """Weigh n-grams by how rare they are (inverse document frequency); 0 for those met once.

    It only helps the optimiser: the factor is part of the weights that are saved.
    """
    met = np.bincount(counts.indices, minlength=BUCKETS)
    rarity: Floats = np.where(met > 1, 1 + np.log(counts.shape[0] / np.maximum(met, 1)), 0.0)
    return rarity
