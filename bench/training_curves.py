#!/usr/bin/env python3
"""The curves of docs/training.md: 200 training steps of a model, of its rewrite and of its exact rewrite.

    bench/training_curves.py [--build build] [--out docs/training.md]

One thread, float32, CPU. All see the same batches and seeds. Beside them, as a measure of what a rounding does to a
training: the original with one weight one unit in the last place larger. Exits 1 where a claim of docs/training.md
fails; the curves go beside OUT, as .svg. The digits are scikit-learn's: without it the script says how to install it.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import math
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Not a requirement of invact, so not in its environment.
SCIKIT_LEARN = ROOT / "build" / "scikit-learn"
TEXT = pathlib.Path("/usr/share/common-licenses/GPL-3")  # of Debian's base-files

MIB = 2**20
STEPS = 200
SEEDS = (0, 1, 2)
FINAL_STEPS = 20  # a final loss is their mean: one batch says little
REWRITES = {"default": [], "exact": ["--exact"]}  # flags of `invact rewrite`
NUDGED = "original, 1 ulp off"

DIGITS_BATCH = 64
TEXT_BATCH, TEXT_LENGTH = 16, 64
WIDTH, HEADS, LAYERS, DROPOUT = 64, 4, 2, 0.1

Batch = tuple[Tensor, Tensor]


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.silu(self.first_norm(self.first(x)))
        return functional.silu(x + self.second_norm(self.second(inner)))


def convolution_net() -> nn.Module:
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Residual(16), nn.MaxPool2d(2)]
    head = [nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), Residual(32)]
    return nn.Sequential(*stem, *head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


class Attention(nn.Module):
    """Causal, written out, so that its probabilities have dropout of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)
        self.register_buffer("future", torch.ones(TEXT_LENGTH, TEXT_LENGTH, dtype=torch.bool).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).split(WIDTH, dim=2))
        scores = q @ k.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        shares = self.dropout(scores.masked_fill(self.future, -math.inf).softmax(3))
        return self.out((shares @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.attention_dropout, self.dropout = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention_dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.down(functional.gelu(self.up(self.norm(x)))))


class Transformer(nn.Module):
    def __init__(self, characters: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(characters, WIDTH)
        self.places = nn.Parameter(torch.randn(TEXT_LENGTH, WIDTH) * 0.02)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.layers(self.dropout(self.tokens(ids) + self.places))))


@dataclasses.dataclass(frozen=True)
class Task:
    """What is trained: on a seed's batches, the same for every variant."""

    title: str
    build: Callable[[], nn.Module]
    batches: Callable[[int], list[Batch]]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]


def digits_task() -> Task:
    sys.path.append(str(SCIKIT_LEARN))  # last: its copy of NumPy must not hide the environment's
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        command = f"{sys.executable} -m pip install --target {SCIKIT_LEARN} scikit-learn"
        sys.exit(f"scikit-learn is missing; install it with\n{command}")
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(data.target)

    def batches(seed: int) -> list[Batch]:
        generator = torch.Generator().manual_seed(seed)
        per_epoch = len(labels) // DIGITS_BATCH
        epochs = math.ceil(STEPS / per_epoch)
        orders = [torch.randperm(len(labels), generator=generator)[: per_epoch * DIGITS_BATCH] for _ in range(epochs)]
        return [(images[rows], labels[rows]) for rows in torch.cat(orders).split(DIGITS_BATCH)[:STEPS]]

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    return Task("Convolution net, digits", convolution_net, batches, optimizer)


def text_task() -> Task:
    text = TEXT.read_text()
    alphabet = sorted(set(text))
    ids = torch.tensor([alphabet.index(character) for character in text])

    def batches(seed: int) -> list[Batch]:
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randint(len(ids) - TEXT_LENGTH, (STEPS, TEXT_BATCH, 1), generator=generator)
        rows = [ids[start + torch.arange(TEXT_LENGTH + 1)] for start in starts]
        return [(row[:, :-1].contiguous(), row[:, 1:].contiguous()) for row in rows]

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=3e-3)

    return Task("Transformer, characters", lambda: Transformer(len(alphabet)), batches, optimizer)


@dataclasses.dataclass
class Variant:
    """One file and how it trained."""

    path: pathlib.Path
    kept_bytes: int
    losses: list[list[float]] = dataclasses.field(default_factory=list)  # by seed, by step

    def final(self, run: int) -> float:
        return statistics.fmean(self.losses[run][-FINAL_STEPS:])


def make_files(task: Task, tool: pathlib.Path, folder: pathlib.Path) -> dict[str, Variant]:
    """The traced original and its rewrites; weights are loaded per seed, so that one file serves all."""
    original = folder / "original.pt"
    torch.manual_seed(0)
    model = task.build().train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's deprecation
        # Two traces of a model with dropout differ, so the tracer's own check cannot hold.
        torch.jit.save(torch.jit.trace(model, task.batches(0)[0][0], check_trace=False), original)
    variants = {}
    for name, flags in REWRITES.items():
        path, document = folder / f"{name}.pt", folder / f"{name}.json"
        arguments = [tool, "rewrite", original, "-o", path, "--json", document, "--threads", "1", *flags]
        done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(done.args)}: exit {done.returncode}\n{done.stderr}")
        prediction = json.loads(document.read_text())["prediction"]
        for same in ("original", NUDGED):
            variants.setdefault(same, Variant(original, prediction["saved_bytes_before"]))
        variants[name] = Variant(path, prediction["saved_bytes_after"])
    return variants


def train(task: Task, path: pathlib.Path, seed: int, nudge: bool) -> list[float]:
    torch.manual_seed(seed)
    weights = task.build().state_dict()
    if nudge:
        first = next(iter(weights.values())).view(-1)[:1]
        first.copy_(first.nextafter(torch.tensor(math.inf)))
    model = torch.jit.load(path).train()
    model.load_state_dict(weights)
    optimizer = task.optimizer(model)
    torch.manual_seed(seed)  # of the dropout masks
    losses = []
    for inputs, targets in task.batches(seed):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs).flatten(0, -2), targets.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def differences(variant: Variant, original: Variant, run: int) -> list[float]:
    """By step; a loss that is not a number counts as infinitely far."""
    pairs = zip(variant.losses[run], original.losses[run], strict=True)
    return [abs(a - b) if math.isfinite(a - b) else math.inf for a, b in pairs]


def table(tasks: dict[str, dict[str, Variant]]) -> list[str]:
    seeds = [f"final loss, seed {seed}" for seed in SEEDS]
    columns = ["model", "file", "kept, MiB", *seeds, "largest loss difference", "steps with the original's loss"]
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for title, variants in tasks.items():
        for name, variant in variants.items():
            apart = [step for run in range(len(SEEDS)) for step in differences(variant, variants["original"], run)]
            cells = [title, name, f"{variant.kept_bytes / MIB:.2f}"]
            cells += [f"{variant.final(run):.6f}" for run in range(len(SEEDS))]
            cells += ["", ""] if name == "original" else [f"{max(apart):.1e}", f"{apart.count(0)} of {len(apart)}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def claims(title: str, variants: dict[str, Variant]) -> list[tuple[bool, str]]:
    original, default, exact = (variants[name] for name in ("original", "default", "exact"))
    runs = range(len(SEEDS))
    finals = [original.final(run) for run in runs]
    spread = max(finals) - min(finals)
    apart = [abs(default.final(run) - finals[run]) for run in runs]
    same = sum(differences(exact, original, run).count(0) for run in runs)
    smaller = [variant.kept_bytes < original.kept_bytes for variant in (default, exact)]
    return [
        # Without it the others would be said of copies.
        (all(smaller), f"{title}: both rewrites keep less than the original"),
        (same == STEPS * len(SEEDS), f"{title}: exact: {same} of {STEPS * len(SEEDS)} losses equal the original's"),
        (
            all(distance < spread for distance in apart),  # false for NaN, which max() may pass over
            f"{title}: default: final losses at most {max(apart):.1e} off; the original's seeds spread by {spread:.1e}",
        ),
    ]


# The picture: one column per task, its losses above and how far the others' lie from the original's below.
PLOT_WIDTH, LOSS_HEIGHT, APART_HEIGHT = 400, 250, 126
LEFT, TOP, COLUMN, APART_TOP = 62, 78, 500, 396
COLORS = {"original": "#b9c2cc", NUDGED: "#2e8b6f", "default": "#d2601a", "exact": "#1d4f91"}
THIN = 'stroke-width="1.6"'
LINES = {"original": 'stroke-width="5"', "default": THIN, "exact": f'{THIN} stroke-dasharray="3 6"'}
LABELS = {"default": "invact rewrite", "exact": "invact rewrite --exact", NUDGED: "original, one weight 1 ulp off"}
LEAST_EXPONENT = -9  # below it, at the foot of the lower plot, lies zero


def write(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{words}</text>'


def dots(points: list[tuple[float, float]], color: str) -> str:
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return f'<path class="dots" d="{path}" stroke="{color}" stroke-width="2.8" stroke-linecap="round"/>'


def frame(left: float, top: float, height: float, ticks: dict[float, str]) -> list[str]:
    """The plot's grid and labels; `ticks` by distance from its foot."""
    foot = top + height
    lines = []
    for up, label in ticks.items():
        lines.append(f'<path d="M{left} {foot - up:.1f}h{PLOT_WIDTH}" stroke="#e3e6ea"/>')
        lines.append(write(left - 8, foot - up + 4, label, "end"))
    for step in range(0, STEPS + 1, STEPS // 4):
        lines.append(write(left + step * PLOT_WIDTH / STEPS, foot + 17, str(step), "middle"))
    lines.append(f'<path d="M{left} {top}V{foot}h{PLOT_WIDTH}" fill="none" stroke="#7b8794"/>')
    return lines


def loss_plot(variants: dict[str, Variant], left: float) -> list[str]:
    """On a logarithmic axis between round numbers."""
    finite = [y for name in LINES for losses in variants[name].losses for y in losses if 0 < y < math.inf]
    rounds = [digit * 10.0**exponent for exponent in range(-9, 9) for digit in (1, 2, 3, 5)]
    low = max(value for value in rounds if value <= min(finite))
    high = min(value for value in rounds if value >= max(finite))

    def up(loss: float) -> float:
        inside = min(max(loss, low), high) if loss == loss else high
        return LOSS_HEIGHT * math.log(inside / low) / math.log(high / low)

    lines = frame(left, TOP, LOSS_HEIGHT, {up(value): f"{value:g}" for value in rounds if low <= value <= high})
    for name, style in LINES.items():
        for losses in variants[name].losses:
            places = [(left + (i + 1) * PLOT_WIDTH / STEPS, TOP + LOSS_HEIGHT - up(y)) for i, y in enumerate(losses)]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            lines.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[name]}" {style}/>')
    return lines


def apart_plot(variants: dict[str, Variant], left: float) -> list[str]:
    decade = APART_HEIGHT / -LEAST_EXPONENT
    lines = [write(left, APART_TOP - 10, "|loss - original's loss|")]
    ticks = {decade * (exponent - LEAST_EXPONENT): f"1e{exponent}" for exponent in range(LEAST_EXPONENT + 2, 0, 2)}
    lines += frame(left, APART_TOP, APART_HEIGHT, {0: "0", **ticks})
    for name in (NUDGED, *REWRITES):
        points = []
        for run in range(len(SEEDS)):
            for index, apart in enumerate(differences(variants[name], variants["original"], run)):
                up = min(max(math.log10(apart) - LEAST_EXPONENT, 0.2), -LEAST_EXPONENT) * decade if apart else 0
                points.append((left + (index + 1) * PLOT_WIDTH / STEPS, APART_TOP + APART_HEIGHT - up))
        lines.append(dots(points, COLORS[name]))
    return [*lines, write(left + PLOT_WIDTH / 2, APART_TOP + APART_HEIGHT + 34, "step", "middle")]


def picture(tasks: dict[str, dict[str, Variant]]) -> str:
    width, height = COLUMN * len(tasks), APART_TOP + APART_HEIGHT + 48
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<style>text{font:12px sans-serif;fill:#2f3a45}.title{font-size:15px;font-weight:bold}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, name in enumerate(COLORS):
        x = LEFT + (0, COLUMN, 140, 310)[index]  # the dots, of the lower plots alone, apart
        line = f'<path d="M{x} 26h34" stroke="{COLORS[name]}" {LINES.get(name)}/>'
        mark = line if name in LINES else dots([(x + right, 26) for right in (2, 12, 22, 32)], COLORS[name])
        lines += [mark, write(x + 42, 30, LABELS.get(name, name))]
    for index, (title, variants) in enumerate(tasks.items()):
        left = LEFT + index * COLUMN
        lines.append(write(left, TOP - 14, f"{title}: loss, {len(SEEDS)} seeds", more='class="title"'))
        lines += loss_plot(variants, left) + apart_plot(variants, left)
    return "\n".join([*lines, "</svg>"]) + "\n"


def document(lines: list[str]) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return f"""# Training: the same losses, fewer bytes

Made by `.venv/bin/python bench/training_curves.py --out docs/training.md` on {datetime.date.today().isoformat()}, LibTorch {torch.__version__}, one thread of {platform.machine()},
commit {commit.strip()}; it makes `training.svg` as well, and exits 1 where a claim fails.

{STEPS} steps each, cross entropy, float32, CPU, profiling mode off ([python.md](python.md)); traced in train mode; the same weights,
batches and dropout masks for every file. Final loss: mean of the last {FINAL_STEPS} steps. Kept: saved bytes, as `invact rewrite` predicts
them and then counts them. By default it runs a segment again only where that frees an eighth of the segment's largest tensor more than
keeping its result (`rewriter/planning/selection.h`), so that `--exact`, which has no such choice, may keep less.

- Convolution net: convolutions, batch norm, ReLU, SiLU, two residual blocks, max and average pooling; scikit-learn's digits (8 x 8), batches
  of {DIGITS_BATCH}; SGD, momentum 0.9.
- Transformer: {LAYERS} layers of {WIDTH}, causal attention written out, LayerNorm, GELU, dropout {DROPOUT}; the characters of
  `{TEXT}`, {TEXT_BATCH} times {TEXT_LENGTH}; AdamW.

"{NUDGED}" is the original again, its first weight one unit in the last place larger: what the training itself makes of a rounding.

![losses by step, and their distance from the original's](training.svg)

""" + "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="folder of bin/invact and lib/")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch._C._jit_set_profiling_mode(False)
    torch.ops.load_library(str(options.build / "lib/libinvact_kernels.so"))
    trained = {}
    for task in (digits_task(), text_task()):
        with tempfile.TemporaryDirectory() as folder:
            variants = make_files(task, options.build / "bin/invact", pathlib.Path(folder))
            for name, variant in variants.items():
                variant.losses = [train(task, variant.path, seed, nudge=name == NUDGED) for seed in SEEDS]
                print(f"{task.title}: {name} trained", file=sys.stderr, flush=True)
        trained[task.title] = variants
    said = [claim for title, variants in trained.items() for claim in claims(title, variants)]
    lines = [*table(trained), "", *(f"- {'holds' if holds else '**FAILS**'}: {words}" for holds, words in said)]
    print("\n".join(lines))
    if options.out:
        options.out.write_text(document(lines))
        options.out.with_suffix(".svg").write_text(picture(trained))
    sys.exit(0 if all(holds for holds, _ in said) else 1)


if __name__ == "__main__":
    main()
