"""The operators from Python: loading, torch.compile's tools (FakeTensor, AOT autograd), autocast, functorch, TorchScript.

Run: python python_ops_test.py <libinvact_kernels.so>
"""

import io
import subprocess
import sys
import unittest

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

LIBRARY = sys.argv.pop() if len(sys.argv) > 1 and sys.argv[-1].endswith(".so") else None

OPS, ATEN, F = torch.ops.invact, torch.ops.aten, torch.nn.functional
CASES = {
    "gelu": (lambda x: OPS.gelu(x), lambda x: ATEN.gelu(x)),
    "gelu_tanh": (lambda x: OPS.gelu(x, approximate="tanh"), lambda x: ATEN.gelu(x, approximate="tanh")),
    "erf_gelu": (lambda x: OPS.erf_gelu(x), lambda x: ATEN.gelu(x) if x.element_size() == 2 else x * 0.5 * (1.0 + torch.erf(x / 2.0**0.5))),
    "silu": (lambda x: OPS.silu(x), lambda x: ATEN.silu(x)),
    "mish": (lambda x: OPS.mish(x), lambda x: ATEN.mish(x)),
    "hardswish": (lambda x: OPS.hardswish(x), lambda x: ATEN.hardswish(x)),
    "quick_gelu": (lambda x: OPS.quick_gelu(x), lambda x: x * torch.sigmoid(1.702 * x)),
    "elu": (lambda x: OPS.elu(x, 0.75, 1.5, 0.5), lambda x: ATEN.elu(x, 0.75, 1.5, 0.5)),
    "celu": (lambda x: OPS.celu(x, 0.5), lambda x: ATEN.celu(x, 0.5)),
    "selu": (lambda x: OPS.selu(x), lambda x: ATEN.selu(x)),
    "softplus": (lambda x: OPS.softplus(x, 2.0), lambda x: ATEN.softplus(x, 2.0)),
    "log_sigmoid": (lambda x: OPS.log_sigmoid(x), lambda x: F.logsigmoid(x)),
    "softsign": (lambda x: OPS.softsign(x), lambda x: F.softsign(x)),
    "squared_relu": (lambda x: OPS.squared_relu(x), lambda x: torch.square(F.relu(x))),
    "leaky_relu": (lambda x: OPS.leaky_relu(x, 0.2), lambda x: ATEN.leaky_relu(x, 0.2)),
    "hardsigmoid": (lambda x: OPS.hardsigmoid(x), lambda x: ATEN.hardsigmoid(x)),
    "hardtanh": (lambda x: OPS.hardtanh(x, -2, 0.5), lambda x: ATEN.hardtanh(x, -2, 0.5)),
    "relu6": (lambda x: OPS.relu6(x), lambda x: F.relu6(x)),
}
BRANCHED = ("gelu", "erf_gelu", "gelu_tanh", "silu", "mish", "hardswish", "quick_gelu")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class OperatorTest(unittest.TestCase):
    def test_fake_tensors_have_atens_metadata(self):
        inputs = [
            lambda d: torch.empty(3, 5, dtype=d),
            lambda d: torch.empty(2, 4, 3, 3, dtype=d).to(memory_format=torch.channels_last),
            lambda d: torch.empty(6, 4, dtype=d).t(),
            lambda d: torch.empty(0, 4, dtype=d),
            lambda d: torch.empty(5, 1, dtype=d).expand(5, 3),
        ]
        for ours, atens in CASES.values():
            for make in inputs:
                for dtype in DTYPES:
                    with FakeTensorMode():
                        x = make(dtype)
                        found, expected = ours(x), atens(x)
                        tracked = ours(x.detach().requires_grad_())
                        for y in (found, tracked):
                            self.assertEqual((y.shape, y.stride(), y.dtype), (expected.shape, expected.stride(), dtype))
                        leaf = x.detach().requires_grad_()
                        (grad,) = torch.autograd.grad(ours(leaf), leaf, torch.empty_like(expected))
                        self.assertEqual((grad.shape, grad.dtype), (x.shape, dtype))

    def test_internal_operators_have_fake_kernels(self):
        for function in BRANCHED:
            with FakeTensorMode():
                x = torch.empty(3, 7)
                output, branch = torch.ops.invact._activation_forward(x, function)
                self.assertEqual((output.shape, branch.shape, branch.dtype), (x.shape, (3,), torch.uint8))
                grad = torch.ops.invact._activation_backward(x, output, branch, [7, 1], function, [])
                self.assertEqual((grad.shape, grad.stride()), (x.shape, (7, 1)))
        with FakeTensorMode():
            x = torch.empty(3, 7)
            grad = torch.ops.invact._activation_backward(x, x, None, [1, 3], "elu", [1.0, 1.0, 1.0])
            self.assertEqual((grad.shape, grad.stride()), (x.shape, (1, 3)))

    def test_more_than_two_to_the_31_elements(self):
        count = 2**31 + 11
        for name, (ours, _) in CASES.items():
            with FakeTensorMode():
                x = torch.empty(count, dtype=torch.bfloat16, requires_grad=True)
                y = ours(x)
                (grad,) = torch.autograd.grad(y, x, torch.empty_like(y))
                self.assertEqual((y.shape, grad.shape), ((count,), (count,)), name)
        for function in BRANCHED:
            with FakeTensorMode():
                _, branch = torch.ops.invact._activation_forward(torch.empty(count, dtype=torch.bfloat16), function)
                self.assertEqual(branch.shape, ((count + 7) // 8,), function)

    def test_out_forms_write_what_the_others_return(self):
        x, g = torch.randn(2, 257), torch.randn(2, 257)
        for function in BRANCHED:
            y, bits = torch.ops.invact._activation_forward(x, function)
            out, branch = torch.empty_like(y), torch.empty_like(bits)
            torch.ops.invact._activation_forward.out(x, function, output=out, branch=branch)
            self.assertTrue(torch.equal(out, y) and torch.equal(branch, bits))
            expected = torch.ops.invact._activation_backward(g, y, bits, y.stride(), function, [])
            found = torch.empty_like(y)
            torch.ops.invact._activation_backward.grad_input(g, y, bits, function, [], grad_input=found)
            self.assertTrue(torch.equal(found, expected))
        with self.assertRaisesRegex(RuntimeError, "bytes of branch bits"):
            torch.ops.invact._activation_forward.out(x, "silu", output=out, branch=branch[:-1])
        with self.assertRaisesRegex(RuntimeError, "output must be dense"):
            torch.ops.invact._activation_forward.out(x, "silu", output=out.double(), branch=branch)

    def test_compiles_with_symbolic_sizes(self):
        for ours, _ in CASES.values():

            def step(x):
                return ours(x * 2).sum()

            torch._dynamo.reset()  # each case compiles `step` anew
            compiled = torch.compile(step, backend="aot_eager", dynamic=True, fullgraph=True)
            for rows in (3, 5, 8):
                x = torch.randn(rows, 7, requires_grad=True)
                y = x.detach().clone().requires_grad_()
                compiled(x).backward()
                step(y).backward()
                self.assertTrue(torch.equal(x.grad, y.grad))

    def test_in_place_compiles(self):
        for in_place in (torch.ops.invact.gelu_, torch.ops.invact.relu6_):

            def step(x, in_place=in_place):
                return in_place(x * 2).sum()

            compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
            x = torch.randn(4, 7, requires_grad=True)
            y = x.detach().clone().requires_grad_()
            compiled(x).backward()
            step(y).backward()
            self.assertTrue(torch.equal(x.grad, y.grad))
            z = torch.randn(4, 7)
            self.assertTrue(torch.equal(compiled(z), step(z)))

    def test_autocast_is_as_atens(self):
        for ours, atens in CASES.values():
            for dtype in (torch.float32, torch.bfloat16):
                x = torch.randn(64, 33).to(dtype)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    found, expected = ours(x), atens(x)
                    tracked = ours(x.clone().requires_grad_())
                self.assertEqual(found.dtype, expected.dtype)
                self.assertTrue(torch.equal(found, expected))
                self.assertTrue(torch.equal(tracked, expected))

    def test_autocast_lists_what_aten_lists(self):
        for name in ("gelu", "silu", "mish", "hardswish", "elu", "celu", "selu", "softplus", "log_sigmoid", "leaky_relu"):
            for key in ("AutocastCPU", "AutocastCUDA"):
                listed = [
                    torch._C._dispatch_has_kernel_for_dispatch_key(f"{namespace}::{name}", key)
                    for namespace in ("invact", "aten")
                ]
                self.assertEqual(*listed, f"{name}, {key}")

    def test_gradcheck(self):
        for ours, _ in CASES.values():
            # Not at the minimum, where the output determines the derivative to 1e-9 only.
            x = torch.linspace(-5.05, 5, 40, dtype=torch.float64, requires_grad=True)
            self.assertTrue(torch.autograd.gradcheck(ours, (x,), eps=1e-6, atol=1e-7))

    def test_forward_mode_raises_by_name(self):
        for ours, _ in CASES.values():
            x, t = torch.randn(4), torch.randn(4)
            with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: forward-mode AD"):
                torch.func.jvp(ours, (x,), (t,))
            with torch.autograd.forward_ad.dual_level():
                dual = torch.autograd.forward_ad.make_dual(x, t)
                with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: forward-mode AD"):
                    ours(dual)

    def test_vmap_raises_by_name(self):
        for ours, _ in CASES.values():
            with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: vmap"):
                torch.func.vmap(ours)(torch.randn(3, 4))

    def test_functional_transforms_of_the_gradient_are_refused(self):
        # LibTorch refuses every C++ autograd function there; what matters is that nothing wrong comes out.
        for ours, _ in CASES.values():
            gradient = torch.func.grad(lambda x: ours(x).sum())
            for transformed in (gradient, torch.func.vmap(gradient)):
                with self.assertRaisesRegex(RuntimeError, "functorch transforms"):
                    transformed(torch.randn(3, 4))

    def test_double_backward_raises_by_name(self):
        for ours, _ in CASES.values():
            x = torch.randn(9, requires_grad=True)
            (first,) = torch.autograd.grad(ours(x).sum() + (x**3).sum(), x, create_graph=True)
            with self.assertRaisesRegex(NotImplementedError, r"invact::\w+: double backward"):
                first.sum().backward()

    def test_python_saved_tensor_hooks(self):
        for ours, _ in CASES.values():
            x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
            g = torch.randn(2, 3, 4, 5)
            (expected,) = torch.autograd.grad(ours(x), x, g)
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(), lambda a: torch.from_numpy(a.copy())):
                y = ours(x)
            self.assertTrue(torch.equal(torch.autograd.grad(y, x, g)[0], expected))

    def test_scripted_module_survives_saving(self):
        scripted = torch.jit.script(Scripted())
        buffer = io.BytesIO()
        torch.jit.save(scripted, buffer)
        buffer.seek(0)
        loaded = torch.jit.load(buffer)
        x = torch.randn(5, 6)
        self.assertTrue(torch.equal(loaded(x), torch.nn.functional.silu(torch.nn.functional.gelu(x, approximate="tanh"))))

    def test_ops_check(self):
        x = torch.randn(3, 4, requires_grad=True)
        for op, kwargs in (("gelu", {"approximate": "tanh"}), ("silu", {}), ("elu", {"alpha": 0.5}), ("softsign", {})):
            torch.library.opcheck(getattr(torch.ops.invact, op).default, (x,), kwargs)

    def test_needs_no_libpython_and_no_torch_cuda(self):
        needed = subprocess.run(["readelf", "-d", LIBRARY], check=True, capture_output=True, text=True).stdout
        for name in ("libpython", "libtorch_python", "libtorch_cuda.so"):
            self.assertNotIn(name, needed)


class Scripted(torch.nn.Module):
    def forward(self, x):
        return torch.ops.invact.silu(torch.ops.invact.gelu(x, approximate="tanh"))


if __name__ == "__main__":
    if LIBRARY is None:
        sys.exit(__doc__)
    torch.manual_seed(0)
    torch.ops.load_library(LIBRARY)
    unittest.main(verbosity=2)
