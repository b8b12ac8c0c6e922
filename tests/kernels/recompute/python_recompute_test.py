"""Recompute segments from Python: saved-tensor hooks, checkpointing, functorch, forward mode, freezing.

Run: python python_recompute_test.py <libinvact_kernels.so>
"""

import copy
import io
import os
import subprocess
import sys
import unittest

import torch
from torch.autograd import forward_ad
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

LIBRARY = sys.argv.pop() if len(sys.argv) > 1 and sys.argv[-1].endswith(".so") else None
if LIBRARY:
    torch.ops.load_library(LIBRARY)
HAS_NO_HOOKS = os.environ.get("INVACT_RELEASE_UNDER_HOOKS") != "1"


class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = torch.nn.LayerNorm(8), torch.nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(torch.nn.functional.gelu(self.norm(x)))


class Segments(Plain):
    @torch.jit.export
    def chain(self, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor):
        return torch.nn.functional.gelu(torch.layer_norm(x, [8], w, b))

    def forward(self, x):
        y = torch.ops.invact.recompute(self, "chain", [x, self.norm.weight, self.norm.bias])
        o = self.linear(y)
        torch.ops.invact.release(y, [o], True)
        return o


def models():
    torch.manual_seed(3)
    plain = Plain()
    segments = Segments()
    segments.load_state_dict(plain.state_dict())
    return torch.jit.script(segments), plain


def gradients(model, x, call=None):
    model.zero_grad()
    x = x.detach().requires_grad_()
    (call(model, x) if call else model(x)).pow(2).sum().backward()
    return [x.grad] + [p.grad.clone() for p in model.parameters()]


class RecomputeTest(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        self.x = torch.randn(6, 8)

    def assert_same(self, call=None):
        segments, plain = models()
        for _ in range(3):
            for found, expected in zip(gradients(segments, self.x, call), gradients(plain, self.x)):
                self.assertTrue(torch.equal(found, expected))

    def test_trains_bit_for_bit(self):
        self.assert_same()

    def test_state_dict_keys_are_the_models(self):
        segments, plain = models()
        self.assertEqual(list(segments.state_dict()), list(plain.state_dict()))

    def test_hooks_keep_their_tensors(self):
        segments, _ = models()
        saved = []
        with saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
            y = segments(self.x.requires_grad_())
        released = [t for t in saved if t.untyped_storage().nbytes() == 0]
        self.assertEqual(len(released), 0 if HAS_NO_HOOKS else 1)
        del y

    @unittest.skipUnless(HAS_NO_HOOKS, "hooks that copy meet empty tensors only where that was asked for")
    def test_checkpointing_and_offloading(self):
        self.assert_same(lambda model, x: checkpoint(model, x, use_reentrant=True))
        # Stopping early raises within the script, which no TorchScript model survives.
        with set_checkpoint_early_stop(False):
            self.assert_same(lambda model, x: checkpoint(model, x, use_reentrant=False))

        def offloaded(model, x):
            with save_on_cpu():
                return model(x)

        self.assert_same(offloaded)

    @unittest.skipUnless(HAS_NO_HOOKS, "starts itself")
    def test_hooks_that_measure_may_ask_for_release(self):
        environment = dict(os.environ, INVACT_RELEASE_UNDER_HOOKS="1")
        command = [sys.executable, __file__, "RecomputeTest.test_hooks_keep_their_tensors", LIBRARY]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_functorch_runs_the_method_itself(self):
        segments, plain = models()
        found = torch.func.grad(lambda x: segments(x).pow(2).sum())(self.x)
        expected = torch.func.grad(lambda x: plain(x).pow(2).sum())(self.x)
        self.assertTrue(torch.allclose(found, expected, atol=1e-6))
        self.assertTrue(torch.allclose(torch.vmap(segments)(self.x), plain(self.x), atol=1e-6))

    def test_forward_mode(self):
        segments, plain = models()
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(self.x.detach().requires_grad_(), torch.ones_like(self.x))
            found = forward_ad.unpack_dual(segments(dual)).tangent
            expected = forward_ad.unpack_dual(plain(dual)).tangent
            self.assertTrue(torch.allclose(found, expected, atol=1e-6))

    def test_anomaly_mode(self):
        with torch.autograd.set_detect_anomaly(True):
            self.assert_same()

    def test_profiler_sees_the_second_run(self):
        segments, _ = models()
        with torch.profiler.profile() as profile:
            gradients(segments, self.x)
        count = {e.key: e.count for e in profile.key_averages()}
        self.assertEqual(count["aten::gelu"], 2)

    def test_freezing_says_what_to_do(self):
        segments, _ = models()
        file = io.BytesIO()
        torch.jit.save(segments, file)
        file.seek(0)
        frozen = torch.jit.freeze(torch.jit.load(file).eval())
        with self.assertRaisesRegex(RuntimeError, "freeze the original model"):
            frozen(self.x)

    def test_deep_copies_train_by_themselves(self):
        segments, plain = models()
        other = copy.deepcopy(segments)
        del segments
        y = other(self.x)
        y.pow(2).sum().backward()
        self.assertTrue(torch.equal(y, plain(self.x)))


if __name__ == "__main__":
    unittest.main()
