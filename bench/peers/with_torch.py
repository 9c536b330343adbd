"""PyTorch, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from . import ADAM_RATE, EPOCHS, SGD_RATE, Layers, Run, Task, Unavailable


def set_threads(threads: int, dtype: str) -> None:
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def compiled(function: Any, *example: Any, **options: Any) -> Any:
    """The function, compiled for arguments of this shape alone, which are not checked then."""
    torch.compiler.reset()  # unchecked, what is compiled would be taken for the next function, too
    options |= {"cpp_wrapper": True, "guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    fast = torch.compile(function, options=options)
    try:
        fast(*example)
    except torch._inductor.exc.InductorError as error:  # no C++ compiler that works
        raise Unavailable(str(error).strip().splitlines()[0]) from error
    return fast


def forward(task: Task) -> Run:
    """addmm into tensors made before, faster than nn.Linear."""
    x, layers = torch.from_numpy(task.x), task.copy_layers(torch.tensor)
    outs = [torch.empty(len(x), m, dtype=x.dtype) for m in task.sizes[1:]]
    last = {"sigmoid": torch.sigmoid_, "softmax": partial(torch.softmax, dim=1)}.get(task.output)

    def run() -> Any:
        a = x
        for (w, b), out in zip(layers[:-1], outs):
            a = torch.sigmoid_(torch.addmm(b, a, w, out=out))
        w, b = layers[-1]
        a = torch.addmm(b, a, w, out=outs[-1])
        return last(a) if last else a

    return run


def forward_compiled(task: Task) -> Run:
    """Frozen: the parameters are constants, packed when the network is compiled."""
    modules = {"sigmoid": torch.nn.Sigmoid(), "softmax": torch.nn.Softmax(1)}
    chain: list[Any] = []
    for (w, b), name in zip(task.copy_layers(torch.tensor), task.activations):
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = w.T.contiguous(), b
        chain += [linear, modules.get(name, torch.nn.Identity())]
    net, x = torch.nn.Sequential(*chain).eval(), torch.from_numpy(task.x)
    with torch.no_grad():
        fast = compiled(net, x, freezing=True)
    return lambda: fast(x)


def trainer(task: Task) -> tuple[Layers, list[Any], Callable[[Any, Any], Any]]:
    """The layers, their parameters in a list, and the loss of a minibatch as a function."""
    layers = task.copy_layers(partial(torch.tensor, requires_grad=True))

    def loss(x: Any, y: Any) -> Any:
        for w, b in layers[:-1]:
            x = torch.sigmoid(torch.addmm(b, x, w))
        w, b = layers[-1]
        return torch.nn.functional.cross_entropy(torch.addmm(b, x, w), y)

    return layers, [p for pair in layers for p in pair], loss


def steps(task: Task, compile_loss: bool) -> Run:
    layers, parameters, loss = trainer(task)
    optimizer = torch.optim.SGD(parameters, lr=SGD_RATE, fused=True)
    minibatches = task.minibatches(torch.from_numpy)
    if compile_loss:
        loss = compiled(loss, *minibatches[0])

    def run() -> Layers:
        for x, y in minibatches:
            optimizer.zero_grad()
            loss(x, y).backward()
            optimizer.step()
        return [(w.detach(), b.detach()) for w, b in layers]

    return run


def epochs(task: Task) -> Run:
    """fused and index_select: faster than foreach and than x[rows]."""
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)

    def run() -> Any:
        _, parameters, loss = trainer(task)
        optimizer = torch.optim.Adam(parameters, lr=ADAM_RATE, fused=True)
        for _ in range(EPOCHS):
            losses = []
            for rows in torch.randperm(len(x)).split(task.batch):
                optimizer.zero_grad()
                value = loss(x.index_select(0, rows), y.index_select(0, rows))
                value.backward()
                optimizer.step()
                losses.append(value.detach())
        return torch.stack(losses).mean()

    return run


CONTENDERS = {
    "forward": {"PyTorch": forward, "PyTorch compiled": forward_compiled},
    "step": {
        "PyTorch": partial(steps, compile_loss=False),
        "PyTorch compiled": partial(steps, compile_loss=True),
    },
    "epoch": {"PyTorch": epochs},
}
