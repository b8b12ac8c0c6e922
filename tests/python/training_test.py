#!/usr/bin/env python3
"""Trains rewritten models in Python, beside the originals: training_test.py FOLDER (filled by models.py).

Needs the package `invact`. TorchScript runs with its default executor, which profiles a first call and optimizes from
then on: what is compared are several steps.
"""

from __future__ import annotations

import io
import pathlib
import sys
import tempfile
import unittest
from collections.abc import Callable

import invact  # noqa: F401  (registers the operators)
import torch
from torch import Tensor, nn

import models

FOLDER = pathlib.Path(sys.argv.pop(1))
STEPS = 5

# Relative, of losses in float32: a step's gradients differ by less than 1e-6 of their norm, and a few steps move a
# loss by less than that.
LOSS_TOLERANCE = 1e-5

Optimizer = torch.optim.Optimizer


def loss_of(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    inputs, classes = batch
    return nn.functional.cross_entropy(module(inputs).float(), classes)


def train(module: nn.Module, optimizer: Optimizer, name: str, steps: int, first: int = 0) -> list[float]:
    """The losses of `steps` steps, each on a batch of its own."""
    losses = []
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss = loss_of(module, models.MODELS[name].batch(32, seed=step % 2))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def sgd(module: nn.Module) -> Optimizer:
    return torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)


def adam(module: nn.Module) -> Optimizer:
    return torch.optim.Adam(module.parameters(), lr=1e-2)


def gradient_of(module: nn.Module, loss: Tensor) -> Tensor:
    """All gradients in one vector."""
    module.zero_grad()
    loss.backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    return torch.cat([gradient.flatten().double() for gradient in gradients if gradient is not None])


def distance(reference: Tensor, other: Tensor) -> float:
    return float((other - reference).norm() / reference.norm())


def gradient_functions(loss: Tensor) -> set[str]:
    """The names of the functions that backward will call."""
    names, seen, open_nodes = set(), set(), [loss.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.add(node.name())
            open_nodes += [following for following, _ in node.next_functions]
    return names


def checkpoint_of(module: nn.Module, optimizer: Optimizer) -> bytes:
    file = io.BytesIO()
    torch.save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, file)
    return file.getvalue()


def resume(module: nn.Module, checkpoint: bytes) -> Optimizer:
    state = torch.load(io.BytesIO(checkpoint), weights_only=True)
    module.load_state_dict(state["model"])
    optimizer = adam(module)
    optimizer.load_state_dict(state["optimizer"])
    return optimizer


class TrainingTest(unittest.TestCase):
    def assert_close(self, found: list[float], expected: list[float]) -> None:
        for step, (a, b) in enumerate(zip(found, expected, strict=True)):
            self.assertAlmostEqual(a, b, delta=LOSS_TOLERANCE * abs(b), msg=f"step {step}: {found} beside {expected}")

    def for_each_model(self, check: Callable[[str], None]) -> None:
        for name in models.MODELS:
            with self.subTest(model=name):
                check(name)

    def test_default_executor_has_the_original_losses(self) -> None:
        def check(name: str) -> None:
            original, rewritten = (models.load(FOLDER, name, rewritten) for rewritten in (False, True))
            expected = train(original, sgd(original), name, STEPS)
            found = train(rewritten, sgd(rewritten), name, STEPS)
            executed = str(torch.jit.last_executed_optimized_graph())
            self.assert_close(found, expected)
            self.assertLess(found[4], found[0])  # On the same batch.
            # What ran last was the optimized plan, not the one that profiles, and it calls our operators.
            self.assertNotIn("prim::profile", executed)
            self.assertIn("invact::", executed)
            functions = gradient_functions(loss_of(rewritten, models.MODELS[name].batch(4)))
            self.assertTrue(any("invact" in function for function in functions), functions)

        self.for_each_model(check)

    def test_autocast_gradients_agree_within_bfloat16(self) -> None:
        def check(name: str) -> None:
            batch = models.MODELS[name].batch(32)
            modules = [models.load(FOLDER, name, rewritten) for rewritten in (False, True)]
            for _ in range(STEPS):
                gradients = []
                for module in modules:
                    with torch.autocast("cpu", dtype=torch.bfloat16):
                        self.assertEqual(module(batch[0]).dtype, torch.bfloat16)
                        loss = loss_of(module, batch)
                    gradients.append(gradient_of(module, loss))
                exact = gradient_of(modules[0], loss_of(modules[0], batch))
                rounding = distance(exact, gradients[0])
                # Rounding is what bfloat16 costs the original; ours must add no more than that again.
                self.assertGreater(rounding, 0)
                self.assertLess(distance(gradients[0], gradients[1]), rounding)

        self.for_each_model(check)

    def test_grad_scaler_steps_as_without_it(self) -> None:
        def check(name: str) -> None:
            plain, scaled = models.load(FOLDER, name, True), models.load(FOLDER, name, True)
            expected = train(plain, sgd(plain), name, STEPS)
            optimizer, scaler, found = sgd(scaled), torch.amp.GradScaler("cpu", init_scale=1024.0), []
            for step in range(STEPS):
                optimizer.zero_grad()
                loss = loss_of(scaled, models.MODELS[name].batch(32, seed=step % 2))
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                found.append(loss.item())
            self.assert_close(found, expected)
            self.assertEqual(scaler.get_scale(), 1024.0)

        self.for_each_model(check)

    def test_grad_scaler_skips_a_step_that_overflows(self) -> None:
        module = models.load(FOLDER, "mlp", True)
        optimizer, scaler = sgd(module), torch.amp.GradScaler("cpu", init_scale=1024.0)
        before = [parameter.detach().clone() for parameter in module.parameters()]
        inputs, classes = models.MODELS["mlp"].batch(32)
        scaler.scale(loss_of(module, (inputs * torch.inf, classes))).backward()
        scaler.step(optimizer)
        scaler.update()
        self.assertEqual(scaler.get_scale(), 512.0)
        self.assertTrue(all(map(torch.equal, before, module.parameters())))

    def test_training_resumes_in_either_model(self) -> None:
        """A checkpoint of the rewritten model goes on in a fresh one, in the original file and in the eager module."""

        def check(name: str) -> None:
            module = models.load(FOLDER, name, True)
            optimizer = adam(module)
            train(module, optimizer, name, 3)
            checkpoint = checkpoint_of(module, optimizer)
            expected = train(module, optimizer, name, 3, first=3)
            for other in (models.load(FOLDER, name, True), models.load(FOLDER, name, False), models.build(name)):
                other_optimizer = resume(other, checkpoint)
                self.assert_close(train(other, other_optimizer, name, 3, first=3), expected)
                # And back: what the other model has learned goes on in a rewritten one.
                back = models.load(FOLDER, name, True)
                back_optimizer = resume(back, checkpoint_of(other, other_optimizer))
                self.assert_close(
                    train(back, back_optimizer, name, 2, first=6), train(other, other_optimizer, name, 2, first=6)
                )

        self.for_each_model(check)

    def test_a_trained_model_is_saved_and_loaded(self) -> None:
        def check(name: str) -> None:
            module = models.load(FOLDER, name, True)
            train(module, sgd(module), name, 3)
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "trained.pt")
                torch.jit.save(module, file)
                again = torch.jit.load(file)
            inputs, _ = models.MODELS[name].batch(8)
            self.assertTrue(torch.equal(again.eval()(inputs), module.eval()(inputs)))

        self.for_each_model(check)


if __name__ == "__main__":
    torch.set_num_threads(2)
    unittest.main()
