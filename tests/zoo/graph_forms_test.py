#!/usr/bin/env python3
"""Every form of graph_forms.py through the tool, against what Python's hooks and autograd say.

graph_forms_test.py --invact BIN --library LIB.so [FORM ...]
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import warnings

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "zoo"))

import graph_forms  # noqa: E402
import saved_bytes  # noqa: E402  (found through the path above)
import zoo_test  # noqa: E402


def run_form(zoo: zoo_test.Zoo, name: str) -> None:
    model = zoo.work / f"{name}.pt"
    rewritten = zoo.work / f"{name}.rewritten.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's deprecation
        torch.jit.save(torch.jit.script(graph_forms.build(name)), model)
    torch.manual_seed(zoo_test.SEED)
    example = torch.randn(graph_forms.ROWS, graph_forms.WIDTH)
    before = zoo_test.count_in_python(model, example)
    report = zoo_test.check_analysis(zoo, model, before)
    sites = sorted((site["module"], site["op"], site["reason_code"]) for site in report["sites"])
    zoo.equal("analyze: sites", sites, sorted(graph_forms.FORMS[name].sites))
    zoo_test.check_rewrite(zoo, name, "small", model, rewritten, before, example)
    zoo_test.check_twice(zoo, rewritten)
    zoo_test.check_restore(zoo, model, rewritten)
    zoo_test.check_gradients(zoo, name, model, rewritten, example)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invact", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("forms", nargs="*", metavar="FORM", help=", ".join(graph_forms.FORMS))
    options = parser.parse_args()
    torch.set_num_threads(saved_bytes.THREADS)
    saved_bytes.use_eager_executor()
    torch.ops.load_library(str(options.library))
    flags = ["--input", f"x={graph_forms.ROWS}x{graph_forms.WIDTH}"]
    failures = 0
    for name in options.forms or graph_forms.FORMS:
        print(f"== {name}")
        with tempfile.TemporaryDirectory() as work:
            zoo = zoo_test.Zoo(options.invact, options.library, pathlib.Path(work), flags)
            run_form(zoo, name)
            failures += len(zoo.failures)
    print(f"{failures} checks failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
