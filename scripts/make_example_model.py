#!/usr/bin/env python3
"""Makes a TorchScript file of a zoo model: make_example_model.py NAME OUT.pt [--scripted]. Done once per file."""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "zoo"))

import models  # noqa: E402  (found through the path above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(models.MODELS))
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--scripted", action="store_true", help="torch.jit.script instead of torch.jit.trace")
    options = parser.parse_args()
    if options.scripted and not models.MODELS[options.name].scripts:
        parser.error(f"torch.jit.script does not take {options.name}")
    made = models.make_file(options.name, "scripted" if options.scripted else "traced", options.out)
    print(f"{options.out}: {'made' if made else 'up to date'}")


if __name__ == "__main__":
    main()
