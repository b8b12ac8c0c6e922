#!/usr/bin/env python3
"""The installed wheel, as a user meets it: wheel_test.py BUILD ENVIRONMENT MODELS.

BUILD holds wheel/*.whl, ENVIRONMENT is where it is installed (make_environment.sh), MODELS are those of
tests/python/models.py. Runs the environment's Python in processes of its own; itself it needs no package.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

BUILD, ENVIRONMENT, MODELS = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
PYTHON = ENVIRONMENT / "bin" / "python"
COMMAND = ENVIRONMENT / "bin" / "invact"
WHEEL = next((BUILD / "wheel").glob("*.whl"))
VERSION = WHEEL.name.split("-")[1]

THREE_LINES = """
import invact, torch
model = torch.jit.load("mlp.invact.pt")
model(torch.randn(32, 16)).square().mean().backward()
"""

# What the system has, beside LibTorch's and CUDA's own libraries, wherever a torch wheel runs.
SYSTEM_LIBRARIES = {
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libgcc_s.so.1",
    "libstdc++.so.6", "ld-linux-x86-64.so.2", "linux-vdso.so.1",
}  # fmt: skip


def run(*arguments: str | pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=MODELS,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def fake_torch(folder: str, version: str, cuda: str | None) -> None:
    """A package `torch` that has a version, and nothing that could be loaded."""
    package, metadata = pathlib.Path(folder, "torch"), pathlib.Path(folder, f"torch-{version}.dist-info")
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").write_text(
        f"import types\n__version__ = {version!r}\nversion = types.SimpleNamespace(cuda={cuda!r})\n"
    )
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")


class ArchiveTest(unittest.TestCase):
    def test_holds_what_it_should_and_no_more(self) -> None:
        with zipfile.ZipFile(WHEEL) as archive:
            files = {entry.filename: entry for entry in archive.infolist()}
            metadata_folder = next(name.split("/")[0] for name in files if name.endswith(".dist-info/WHEEL"))
            wheel = archive.read(f"{metadata_folder}/WHEEL").decode()
            metadata = archive.read(f"{metadata_folder}/METADATA").decode()
        self.assertEqual(
            {name for name in files if not name.startswith(metadata_folder)},
            {
                "invact/__init__.py",
                "invact/__main__.py",
                "invact/py.typed",
                "invact/bin/invact",
                "invact/lib/libinvact_kernels.so",
                "_invact/__init__.py",
                "_invact/build.py",
                "_invact/command.py",
                "_invact/torch_release.py",
            },
        )
        self.assertTrue(files["invact/bin/invact"].external_attr >> 16 & 0o100, "the executable is not executable")
        self.assertRegex(WHEEL.name, r"^invact-[0-9.]+-py3-none-linux_x86_64\.whl$")
        self.assertRegex(wheel, r"(?m)^Tag: py3-none-linux_x86_64$")
        self.assertRegex(wheel, r"(?m)^Root-Is-Purelib: false$")
        self.assertRegex(metadata, r"(?m)^Requires-Dist: torch==2\.\d+\.\*$")
        self.assertRegex(metadata, r"(?m)^Requires-Python: >=3\.10$")

    def test_binaries_name_no_folder_of_the_build_machine(self) -> None:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(WHEEL) as archive:
            for name, expected in (
                ("invact/bin/invact", "$ORIGIN/../lib"),
                ("invact/lib/libinvact_kernels.so", "$ORIGIN"),
            ):
                dynamic = subprocess.run(
                    ["readelf", "-dW", archive.extract(name, folder)], check=True, capture_output=True, text=True
                ).stdout
                self.assertEqual(re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic), [expected], name)
                # libpython would tie the wheel to one Python.
                self.assertNotIn("python", dynamic)


class CommandTest(unittest.TestCase):
    def test_needs_nothing_that_torch_does_not_bring(self) -> None:
        where = "from _invact import command; print(command.EXECUTABLE, *command.library_folders(), sep=':')"
        executable, *folders = run(PYTHON, "-c", where).stdout.strip().split(":")
        listed = run("ldd", executable, LD_LIBRARY_PATH=":".join(folders)).stdout
        self.assertNotIn("not found", listed)
        # LibTorch itself finds the packages that torch requires beside torch.
        site_packages = pathlib.Path(folders[0]).resolve().parent.parent
        self.assertIn("libtorch_cpu.so", listed)
        for line in listed.splitlines():
            name, _, place = line.strip().partition(" => ")
            if pathlib.PurePath(name.split(" ")[0]).name not in SYSTEM_LIBRARIES:
                path = pathlib.Path(place.split(" ")[0]).resolve()
                self.assertTrue(site_packages in path.parents or ENVIRONMENT in path.parents, line)

    def test_says_its_version(self) -> None:
        for command in ([COMMAND], [PYTHON, "-m", "invact"]):
            done = run(*command, "--version")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, rf"^invact {re.escape(VERSION)} \(LibTorch 2\.")

    def test_analyzes_a_model_and_passes_the_exit_code_on(self) -> None:
        done = run(COMMAND, "analyze", "mlp.pt", "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(json.loads(done.stdout)["totals"]["reclaimable_bytes"], 0)
        missing = run(COMMAND, "analyze", "no such file.pt")
        self.assertEqual(missing.returncode, 3)
        self.assertIn("no such file.pt", missing.stderr)

    def test_stops_for_another_torch(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fake_torch(folder, "2.12.1", None)
            done = run(COMMAND, "--version", PYTHONPATH=folder)
        self.assertEqual((done.returncode, done.stdout), (5, ""))
        self.assertRegex(
            done.stderr, r"^invact: invact [0-9.]+ was built for torch 2\.\d+, but torch 2\.12\.1 is installed: .*\n$"
        )

    def test_stops_without_torch(self) -> None:
        hide = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p or p.startswith(sys.prefix)]"
        done = run(PYTHON, "-c", f"{hide}; from _invact.command import main; main()")
        self.assertEqual((done.returncode, done.stdout), (5, ""))
        self.assertRegex(done.stderr, r"^invact: no torch for .*: pip install 'torch==2\.\d+\.\*'\.\n$")


class PackageTest(unittest.TestCase):
    def test_three_lines_train_a_rewritten_model(self) -> None:
        check = (
            "print(all(p.grad.abs().sum() > 0 for p in model.parameters()), invact.__version__, "
            "invact.library_path().name, invact.executable_path().name)"
        )
        done = run(PYTHON, "-W", "ignore", "-c", THREE_LINES + check)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"True {VERSION} libinvact_kernels.so invact\n")

    def test_what_torch_says_without_the_package(self) -> None:
        """LibTorch's message is its own; docs/python.md quotes it, so that a search for it ends there."""
        done = run(PYTHON, "-W", "ignore", "-c", THREE_LINES.replace("invact, ", ""))
        self.assertEqual(done.returncode, 1)
        self.assertIn("Unknown builtin op: invact::gelu", done.stderr)
        # The line of code that it shows names the operator's namespace, which is the package's name.
        self.assertIn("ops.invact.gelu", done.stderr)

    def import_beside(self, version: str, cuda: str | None) -> str:
        """The last line that `import invact` ends with beside such a torch."""
        with tempfile.TemporaryDirectory() as folder:
            fake_torch(folder, version, cuda)
            done = run(PYTHON, "-c", "import invact", PYTHONPATH=folder)
        self.assertEqual(done.returncode, 1)
        return done.stderr.strip().splitlines()[-1]

    def test_refuses_another_torch_before_loading_anything(self) -> None:
        built_for = run(PYTHON, "-c", "from _invact import build; print(build.TORCH_VERSION)").stdout.strip()
        message = self.import_beside("2.12.1", "13.0")
        release = ".".join(built_for.split(".")[:2])
        self.assertRegex(
            message, rf"^ImportError: invact [0-9.]+ was built for torch {re.escape(release)}, but torch 2\.12\.1 is"
        )
        # The same release, another patch: past the check, and into the fake, which has nothing to load a library with.
        self.assertRegex(
            self.import_beside(f"{release}.9", "13.0"), r"^AttributeError: .*torch.* has no attribute 'ops'"
        )

    def test_refuses_a_torch_without_its_cuda(self) -> None:
        built_for, cuda = run(
            PYTHON, "-c", "from _invact import build; print(build.TORCH_VERSION, build.CUDA_MAJOR)"
        ).stdout.split(" ")
        if not cuda.strip():
            self.skipTest("this wheel has CPU kernels alone and works with every torch of its release")
        for found, said in ((None, "without CUDA"), ("12.8", "for CUDA 12.8")):
            message = self.import_beside(f"{built_for}+other", found)
            self.assertRegex(
                message, rf"^ImportError: invact .* kernels for CUDA {cuda.strip()}, but torch .* was built {said}: "
            )


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
