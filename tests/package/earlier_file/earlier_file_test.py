#!/usr/bin/env python3
"""A file that an earlier invact wrote is loaded, trained and restored by this one.

    earlier_file_test.py INVACT LIBRARY.so              the test
    earlier_file_test.py --record INVACT COMMIT         writes code_of_COMMIT.json with that tree's INVACT

The names that a rewrite puts into a file (`invact_chain_N`, `invact_original_*`, `rewritten_by_invact`) and the operators
that it calls must stay readable for as long as such files exist. The repository holds no binary file: the recorded JSON
has the code that the earlier tool wrote, as text, and the class of each object of the model. The test puts both into
a freshly saved archive of the original model, which has the same objects and weights.
"""

from __future__ import annotations

import json
import pathlib
import pickletools
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "code_of_08cc987.json"
# What a rewrite calls its methods, copies of classes and functions, and the arguments of a segment's method.
NAME = re.compile(r"\b(?:invact_(?:chain|original)_\w+|rewritten_by_invact\w*|(?:input|argument|kept)_\d+)\b")
WIDTH = 16
STEPS = 5


class Block(nn.Module):
    """A gated block. A linear reads its result in one of its two places, a sum in the other: two different decisions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.up(self.norm(x)).chunk(2, -1)
        return F.gelu(self.down(F.silu(gate) * value))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, WIDTH)
        self.a = Block()
        self.b = Block()
        self.between = nn.Linear(WIDTH, WIDTH)
        self.scale = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.first(x))
        h = self.between(self.a(h))
        h = h * 0.5 * (1.0 + torch.erf(h / 1.4142135623730951))  # GELU, written out
        h = self.between(F.relu(self.scale(self.between(h))))
        return self.head(F.dropout(h, 0.25, self.training)) + self.b(h).sum()


def save_original(path: pathlib.Path) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's deprecation
        torch.jit.save(torch.jit.script(Net()), path)


def read_archive(path: pathlib.Path) -> dict[str, bytes]:
    """The entries by their names without the archive's own."""
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def class_pushes(pickle: bytes) -> list[tuple[int, int, str]]:
    """For each object, in order: where the pickle pushes its class, as a range of bytes, and the class's name."""
    found = []
    memo: dict[int, str] = {}
    last: tuple[int, int, str] | None = None
    operations = list(pickletools.genops(pickle))
    for (opcode, argument, position), (_, _, end) in zip(operations, operations[1:]):
        if opcode.name == "GLOBAL":
            last = (position, end, argument)
        elif opcode.name in ("BINPUT", "LONG_BINPUT") and last and last[1] == position:
            memo[argument] = last[2]  # the class goes to the memo; the push itself ends before
            last = (last[0], last[1], last[2])
        elif opcode.name in ("BINGET", "LONG_BINGET") and argument in memo:
            last = (position, end, memo[argument])
        elif opcode.name == "NEWOBJ" and last:
            found.append(last)
    return found


def with_classes(pickle: bytes, classes: list[str]) -> bytes:
    """The same objects, of other classes."""
    pushes = class_pushes(pickle)
    assert len(pushes) == len(classes), f"{len(pushes)} objects, {len(classes)} classes"
    parts = []
    done = 0
    for (begin, end, _), name in zip(pushes, classes):
        parts += [pickle[done:begin], b"c" + name.replace(" ", "\n").encode() + b"\n"]
        done = end
    return b"".join([*parts, pickle[done:]])


def write_archive(path: pathlib.Path, entries: dict[str, bytes]) -> None:
    """Stored without compression, each entry's data at a multiple of 64 bytes, as LibTorch writes and reads it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(f"{path.stem}/{name}")
            header = 30 + len(info.filename.encode())
            padding = -(archive.fp.tell() + header + 4) % 64
            info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(info, data)


def write_earlier_file(original: pathlib.Path, path: pathlib.Path) -> None:
    recorded = json.loads(RECORDED.read_text())
    entries = {name: data for name, data in read_archive(original).items() if not name.startswith("code/")}
    entries["data.pkl"] = with_classes(entries["data.pkl"], recorded["classes"])
    entries |= {name: text.encode() for name, text in recorded["code"].items()}
    write_archive(path, entries)


def record(invact: str, commit: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        original = pathlib.Path(folder) / "original.pt"
        rewritten = pathlib.Path(folder) / "rewritten.pt"
        save_original(original)
        subprocess.run([invact, "rewrite", original, "-o", rewritten, "--input", "x=32x8"], check=True)
        entries = read_archive(rewritten)
        code = {name: data.decode() for name, data in sorted(entries.items()) if name.endswith(".py")}
        classes = [name for _, _, name in class_pushes(entries["data.pkl"])]
    (HERE / f"code_of_{commit}.json").write_text(json.dumps({"classes": classes, "code": code}, indent=1) + "\n")


def train(model: torch.jit.ScriptModule) -> list[float]:
    """Losses of some steps; the same random numbers for every model."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(STEPS):
        x, y = torch.randn(32, 8), torch.randint(4, (32,))
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class EarlierFileTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.original = self.folder / "original.pt"
        self.earlier = self.folder / "earlier.pt"
        save_original(self.original)
        write_earlier_file(self.original, self.earlier)
        self.losses = train(torch.jit.load(self.original))

    def restore(self, path: pathlib.Path) -> pathlib.Path:
        restored = self.folder / "restored.pt"
        command = [INVACT, "rewrite", "--restore", path, "-o", restored, "--force", "--input", "x=32x8"]
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("PASSED", run.stdout)
        return restored

    def test_a_rewrite_of_today_gives_the_same_names(self) -> None:
        rewritten = self.folder / "rewritten.pt"
        command = [INVACT, "rewrite", self.original, "-o", rewritten, "--input", "x=32x8"]
        subprocess.run(command, check=True, capture_output=True)
        code = [data.decode() for name, data in read_archive(rewritten).items() if name.endswith(".py")]
        recorded = json.loads(RECORDED.read_text())["code"].values()
        names = {name for text in recorded for name in NAME.findall(text)}
        self.assertEqual({name for text in code for name in NAME.findall(text)}, names)
        for name in ("invact_chain_1_again", "invact_original_forward", "rewritten_by_invact", "kept_0", "argument_3"):
            self.assertIn(name, names)

    def test_it_trains_as_the_original_does(self) -> None:
        for old, new in zip(self.losses, train(torch.jit.load(self.earlier))):
            self.assertAlmostEqual(old, new, places=5)

    def test_restoring_it_gives_the_original(self) -> None:
        restored = self.restore(self.earlier)
        code = [data.decode() for name, data in read_archive(restored).items() if name.endswith(".py")]
        self.assertFalse(any("invact" in text for text in code))
        self.assertEqual(train(torch.jit.load(restored)), self.losses)

    def test_restoring_it_after_training_keeps_the_weights(self) -> None:
        trained = torch.jit.load(self.earlier)
        train(trained)
        torch.jit.save(trained, self.earlier)
        restored = torch.jit.load(self.restore(self.earlier))
        for (name, expected), (_, parameter) in zip(trained.named_parameters(), restored.named_parameters()):
            self.assertTrue(torch.equal(expected, parameter), name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(*sys.argv[2:])
        sys.exit()
    INVACT, library = sys.argv[1:3]
    torch.ops.load_library(library)
    torch.set_num_threads(1)
    torch._C._jit_set_profiling_mode(False)
    unittest.main(argv=sys.argv[:1])
