"""Norms and dropout from Python: FakeTensor, torch.compile's tools, autocast, functorch, TorchScript.

Run: python python_row_ops_test.py <libinvact_kernels.so>
"""

import io
import sys
import unittest

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

LIBRARY = sys.argv.pop() if len(sys.argv) > 1 and sys.argv[-1].endswith(".so") else None

OPS, F = torch.ops.invact, torch.nn.functional


def written_out(x, w):
    n = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
    return (n * (1.0 + w.float())).type_as(x)


NORMS = {
    "layer_norm": (lambda x, w: OPS.layer_norm(x, (8,), w, w), lambda x, w: F.layer_norm(x, (8,), w, w)),
    "layer_norm, plain": (lambda x, w: OPS.layer_norm(x, (8,)), lambda x, w: F.layer_norm(x, (8,))),
    "rms_norm": (lambda x, w: OPS.rms_norm(x, (8,), w), lambda x, w: F.rms_norm(x, (8,), w)),
    "rms_norm, plain": (lambda x, w: OPS.rms_norm(x, (8,)), lambda x, w: F.rms_norm(x, (8,))),
    "rms_norm_cast": (
        lambda x, w: OPS.rms_norm_cast(x, (8,), w, weight_offset=1.0, output_dtype=x.dtype),
        written_out,
    ),
}
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def inputs(dtype=torch.float32, requires_grad=False):
    x, w = torch.randn(4, 8).to(dtype), (torch.rand(8) + 0.5).to(dtype)
    return x.requires_grad_(requires_grad), w.requires_grad_(requires_grad)


class NormTest(unittest.TestCase):
    def test_fake_tensors_have_atens_metadata(self):
        for ours, atens in NORMS.values():
            for dtype in DTYPES:
                with FakeTensorMode():
                    x, w = inputs(dtype, requires_grad=True)
                    found, expected = ours(x, w), atens(x, w)
                    self.assertEqual((found.shape, found.stride(), found.dtype),
                                     (expected.shape, expected.stride(), expected.dtype))
                    (grad,) = torch.autograd.grad(found, x, torch.empty_like(expected))
                    self.assertEqual((grad.shape, grad.dtype), (x.shape, dtype))

    def test_compiles_with_atens_result(self):
        for ours, atens in NORMS.values():
            torch._dynamo.reset()
            compiled = torch.compile(lambda x, w, f=ours: f(x * 2, w).pow(2).sum(), backend="aot_eager", fullgraph=True)
            x, w = inputs(requires_grad=True)
            (found,) = torch.autograd.grad(compiled(x, w), x)
            (expected,) = torch.autograd.grad(atens(x * 2, w).pow(2).sum(), x)
            self.assertLess((found - expected).abs().max(), 1e-5)

    def test_compiled_gradients_are_right_for_zero_weights(self):
        torch._dynamo.reset()
        compiled = torch.compile(lambda x, w: OPS.layer_norm(x, (8,), w).pow(2).sum(), backend="aot_eager", fullgraph=True)
        x, w = inputs(requires_grad=True)
        zeros = torch.zeros(8, requires_grad=True)
        compiled(x, w)
        found = torch.autograd.grad(compiled(x, zeros), (x, zeros))
        expected = torch.autograd.grad(F.layer_norm(x, (8,), zeros).pow(2).sum(), (x, zeros))
        for a, b in zip(found, expected):
            self.assertTrue(torch.equal(a, b))

    def test_autocast_is_as_atens(self):
        for name in ("layer_norm", "rms_norm", "dropout"):
            for key in ("AutocastCPU", "AutocastCUDA"):
                listed = [torch._C._dispatch_has_kernel_for_dispatch_key(f"{namespace}::{name}", key)
                          for namespace in ("invact", "aten")]
                self.assertEqual(*listed, f"{name}, {key}")
        for ours, atens in NORMS.values():
            for dtype in DTYPES[:2]:
                x, w = inputs(dtype, requires_grad=True)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    found, expected = ours(x, w), atens(x, w)
                self.assertEqual(found.dtype, expected.dtype)
                self.assertTrue(torch.equal(found, expected))

    def test_gradcheck(self):
        for name in ("layer_norm", "rms_norm"):
            ours, _ = NORMS[name]
            x = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
            w = (torch.rand(8, dtype=torch.float64) + 0.5).requires_grad_()
            self.assertTrue(torch.autograd.gradcheck(ours, (x, w)))

    def test_forward_mode_raises_by_name(self):
        for ours, _ in NORMS.values():
            x, w = inputs()
            with torch.autograd.forward_ad.dual_level():
                dual = torch.autograd.forward_ad.make_dual(x, torch.randn(4, 8))
                with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: forward-mode AD"):
                    ours(dual, w)

    def test_vmap_raises_by_name(self):
        for ours, _ in NORMS.values():
            with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: vmap"):
                torch.func.vmap(lambda x: ours(x, torch.ones(8)))(torch.randn(3, 4, 8))

    def test_scripted_module_survives_saving(self):
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(Scripted()), buffer)
        buffer.seek(0)
        loaded = torch.jit.load(buffer)
        x, w = inputs()
        torch.manual_seed(1)
        found = loaded(x, w)
        torch.manual_seed(1)
        expected = F.dropout(F.rms_norm(F.layer_norm(x, (8,), w), (8,), w), 0.25, True)
        self.assertTrue(torch.equal(found, expected))

    def test_ops_check(self):
        x, w = inputs(requires_grad=True)
        torch.library.opcheck(OPS.layer_norm.default, (x, (8,)))
        torch.library.opcheck(OPS.rms_norm.default, (x, (8,)))
        torch.library.opcheck(OPS.rms_norm_cast.default, (x, (8,)), {"output_dtype": torch.bfloat16})


class DropoutTest(unittest.TestCase):
    def test_same_seed_same_numbers_compiled_too(self):
        x = torch.randn(33, 5, requires_grad=True)
        results = []
        for dropout in (OPS.dropout, torch.dropout, torch.compile(lambda *a: OPS.dropout(*a), backend="aot_eager", fullgraph=True)):
            torch.manual_seed(4)
            y = dropout(x, 0.3, True)
            (grad,) = torch.autograd.grad(y.sin().sum(), x)
            results.append((y, grad, torch.rand(())))
        for found in results[1:]:
            for a, b in zip(found, results[0]):
                self.assertTrue(torch.equal(a, b))

    def test_without_dropping_the_input_itself_comes_back(self):
        x = torch.randn(3, requires_grad=True)
        self.assertIs(OPS.dropout(x, 0.0, True), x)
        self.assertIs(OPS.dropout(x, 0.5, False), x)

    def test_forward_mode_and_vmap_raise_by_name(self):
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(torch.randn(3), torch.randn(3))
            with self.assertRaisesRegex(NotImplementedError, r"invact::dropout: forward-mode AD"):
                OPS.dropout(dual, 0.5, True)
        with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: vmap"):
            torch.func.vmap(lambda x: OPS.dropout(x, 0.5, True), randomness="different")(torch.randn(3, 4))


class Scripted(torch.nn.Module):
    def forward(self, x, w):
        y = torch.ops.invact.layer_norm(x, [8], w)
        return torch.ops.invact.dropout(torch.ops.invact.rms_norm(y, [8], w), 0.25, True)


if __name__ == "__main__":
    if LIBRARY is None:
        sys.exit(__doc__)
    torch.manual_seed(0)
    torch.ops.load_library(LIBRARY)
    unittest.main(verbosity=2)
