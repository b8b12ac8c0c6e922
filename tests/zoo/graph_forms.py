"""Small scripted models, one per form in which TorchScript holds an activation, and what must become of each site."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 16
ROWS = 64  # enough that branch bits are fewer bytes than floats


def _linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


class Linears(nn.Module):
    """A module with square linear layers, one per letter of LINEARS."""

    LINEARS = "a"

    def __init__(self) -> None:
        super().__init__()
        for name in self.LINEARS:
            setattr(self, name, _linear())


class Functional(Linears):
    """F.silu and F.gelu called by the module itself; the same function twice in one method."""

    LINEARS = "abcd"

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(F.silu(self.a(x)))
        x = self.c(F.silu(x, inplace=True))
        return F.silu(self.d(F.gelu(x, approximate="tanh")))


class InplaceAttribute(nn.Module):
    """nn.SiLU with `inplace` constant on either side: only one branch of F.silu can run."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(_linear(), nn.SiLU(inplace=True), _linear())
        self.second = nn.Sequential(_linear(), nn.SiLU(), _linear())

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def mlp_block(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(x, first)), second)


class NestedFunctions(nn.Module):
    """A user's function that calls F.silu; one of its calls gains, the other's output is kept by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(WIDTH, WIDTH)), nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.frozen = nn.Parameter(torch.randn(WIDTH, WIDTH), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return mlp_block(mlp_block(x, self.a, self.b), self.a, self.frozen)


class Branches(Linears):
    """Both branches of an `if` hold a site; one runs."""

    LINEARS = "ab"

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        if h.size(0) > 1:
            h = F.gelu(h)
        else:
            h = F.silu(h)
        return self.b(h)


class Loop(Linears):
    """The body runs three times; its in-place activation writes a tensor of its own turn."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.gelu(self.a(self.act(self.a(x))))
        return self.a(x)


class LoopCarried(Linears):
    """Each turn writes what the turn before returned: keeping that output would keep other values."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        for _ in range(2):
            h = F.silu(h, inplace=True)
        return self.a(h)


class LoopWritten(Linears):
    """The write stands before the site, and comes after it in the next turn."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        for _ in range(2):
            h.mul_(2.0)
            h = F.gelu(h)
        return self.a(h)


class Methods(Linears):
    """Sites in a method that forward calls twice, and in one that nobody calls."""

    LINEARS = "ab"

    def block(self, x: Tensor) -> Tensor:
        return self.b(F.gelu(self.a(x)))

    @torch.jit.export
    def unused(self, x: Tensor) -> Tensor:
        return self.b(F.silu(self.a(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x))


class Block(Linears):
    LINEARS = "ab"

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.act(self.a(x)))


class SharedClass(nn.Module):
    """Three instances of one class of classes; the last layer of one is frozen, so that nobody keeps its output."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.blocks[1].b.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class OneInstanceTwice(Linears):
    """One activation and one block under two names, each called from two places."""

    LINEARS = "ab"

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.again = self.block
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.act(self.a(self.act(self.b(x)))))
        return self.again(self.block(x))


class TiedWeights(Linears):
    LINEARS = "ab"

    def __init__(self) -> None:
        super().__init__()
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.silu(self.a(x)))


class Forks(Linears):
    """A forked module, a forked method, and a task that forks another one."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = Block(), Block()

    def task(self, x: Tensor) -> Tensor:
        inner = torch.jit.fork(self.right, x)
        return torch.jit.wait(inner) + self.a(F.gelu(self.a(x)))

    def forward(self, x: Tensor) -> Tensor:
        left = torch.jit.fork(self.left, x)
        right = torch.jit.fork(self.task, x)
        return torch.jit.wait(left) + torch.jit.wait(right)


class ForksInList(nn.Module):
    """Futures in a list cannot be followed; what the tasks return is not what they keep."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        tasks: list[torch.jit.Future[Tensor]] = []
        for _ in range(2):
            tasks.append(torch.jit.fork(self.block, x))
        y = torch.zeros_like(x)
        for task in tasks:
            y = y + torch.jit.wait(task)
        return y


class WrittenAfterWait(Linears):
    """The task's output is written by who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.jit.wait(torch.jit.fork(self.act, self.a(x)))
        z = self.a(y.clone())
        y.mul_(2.0)
        return self.a(y) + z


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Interface(Linears):
    """A submodule whose attribute is an interface: which class it has shows only in the instance."""

    __annotations__ = {"layer": Layer}  # the type itself: torch.jit.script does not resolve its name

    def __init__(self) -> None:
        super().__init__()
        self.layer = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.layer.forward(x))


@dataclasses.dataclass(frozen=True)
class Form:
    build: Callable[[], nn.Module]
    # (module, operator, reason_code) of every site that is to be listed.
    sites: list[tuple[str, str, str]]


FORMS: dict[str, Form] = {
    "functional": Form(
        Functional,
        [
            ("", "aten::silu", "accepted"),
            ("", "aten::silu_", "accepted"),
            ("", "aten::gelu", "accepted"),
            ("", "aten::silu", "output_not_kept"),
        ],
    ),
    "inplace_attribute": Form(
        InplaceAttribute, [("first.1", "aten::silu_", "accepted"), ("second.1", "aten::silu", "accepted")]
    ),
    "nested_functions": Form(
        NestedFunctions, [("", "aten::silu", "accepted"), ("", "aten::silu", "output_not_kept")]
    ),
    "branches": Form(Branches, [("", "aten::gelu", "accepted"), ("", "aten::silu", "not_executed")]),
    "loop": Form(Loop, [("act", "aten::silu_", "accepted"), ("", "aten::gelu", "accepted")]),
    "loop_carried": Form(LoopCarried, [("", "aten::silu_", "output_written")]),
    "loop_written": Form(LoopWritten, [("", "aten::gelu", "output_written")]),
    "methods": Form(Methods, [("", "aten::gelu", "accepted")]),
    "shared_class": Form(
        SharedClass,
        [
            ("blocks.0.act", "aten::silu", "accepted"),
            ("blocks.1.act", "aten::silu", "output_not_kept"),
            ("blocks.2.act", "aten::silu", "accepted"),
        ],
    ),
    "one_instance_twice": Form(
        OneInstanceTwice,
        [
            ("act", "aten::gelu", "accepted"),
            # torch.jit.script makes a module of its own for each name.
            ("block.act", "aten::silu", "accepted"),
            ("again.act", "aten::silu", "accepted"),
        ],
    ),
    "tied_weights": Form(TiedWeights, [("", "aten::silu", "accepted")]),
    "forks": Form(
        Forks,
        [
            ("left.act", "aten::silu", "accepted"),
            ("right.act", "aten::silu", "accepted"),
            ("", "aten::gelu", "accepted"),
        ],
    ),
    "forks_in_list": Form(ForksInList, [("block.act", "aten::silu", "accepted")]),
    "written_after_wait": Form(WrittenAfterWait, [("act", "aten::gelu", "output_written")]),
    "interface": Form(Interface, [("layer.act", "aten::silu", "accepted")]),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return FORMS[name].build().train()
