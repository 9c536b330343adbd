"""What is saved of a multilayer perceptron: its network, and where its training stands."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ._check_network import STATES
from ._fields import (
    Count,
    Each,
    Flag,
    Floats,
    Kind,
    Many,
    Maybe,
    Model,
    ModelFileError,
    Number,
    Optional,
    Record,
    Text,
)
from .network import Network

_OPTIMIZER = (  # what Settings.optimizer returns
    Text(STATES),
    Number(),  # learning rate
    Number(),  # momentum
    Number(),  # alpha
    Count(1),  # batch size
    Number(),  # beta_1
    Number(),  # beta_2
    Number(),  # epsilon
    Many(Number(), tuple),  # dropout
)

SAVED: dict[str, Kind | None] = {
    "_network": Model(Network),
    "n_outputs_": Count(1),
    "n_iter_": Count(),
    "t_": Count(),
    "_no_improvement_count": Count(),
    "loss_": Maybe(Number()),
    "best_loss_": Optional(Number()),
    "loss_curve_": Many(Number()),
    "validation_scores_": Optional(Many(Number())),
    "best_validation_score_": Optional(Number()),
    "converged_": Maybe(Flag()),
    "_optimizer_made_of": Maybe(Each(_OPTIMIZER, tuple)),
}


def of_network(network: Any) -> dict[str, Kind]:
    """Return the fields that depend on the network, which may be its tree in a file."""
    if isinstance(network, Network):
        sizes, dtype = network.sizes, network.dtype.name
    elif isinstance(network, dict):
        Network._fields(network)  # which judges the sizes
        sizes, dtype = tuple(network["sizes"]), network["dtype"]
    else:
        raise ModelFileError("there is no network")
    pairs = list(pairwise(sizes))
    weights = [Floats(k, m, dtype=dtype) for k, m in pairs]
    biases = [Floats(m, dtype=dtype) for _, m in pairs]
    # Averages of steps that diverged need not be finite, where the best weights were restored.
    by_layer = [
        kind
        for k, m in pairs
        for kind in (
            Floats(k, m, dtype=dtype, finite=False),
            Floats(m, dtype=dtype, finite=False),
        )
    ]
    state = {
        "steps": Count(),
        "states": Many(Each(by_layer)),
        "learning_rate": Number(positive=True),
    }
    return {
        "_best_parameters": Maybe(Each([*weights, *biases])),
        "_optimizer_state": Maybe(Record(dict, state, dict)),
    }


def require_states(made_of: Any, state: Any) -> None:
    """Raise if an optimiser that is not made of anything, or of another solver, has this state."""
    if state is None:
        return
    if made_of is None:
        raise ValueError("there is the state of an optimiser, but not what that was made of")
    if len(state["states"]) != STATES[made_of[0]]:
        raise ValueError(
            f"the optimiser has {len(state['states'])} states, but {made_of[0]} has "
            f"{STATES[made_of[0]]}"
        )
