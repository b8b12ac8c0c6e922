#!/usr/bin/env python3
"""Runs the code blocks of a documentation page in their order: docs_test.py PAGE.md, with the Python that has `invact`.

```python blocks share one namespace, ```python file=NAME blocks are written to NAME, ```sh blocks are run; all in one
temporary folder. Other blocks and indented ones are text. Stops at the first that fails.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

BLOCK = re.compile(r"^```(python|sh)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_block(language: str, file: str | None, code: str, place: str, namespace: dict[str, Any]) -> None:
    if file:
        pathlib.Path(file).write_text(code)
    elif language == "python":
        exec(compile(code, place, "exec"), namespace)
    else:
        # The environment's own commands, as in an activated one.
        path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(["bash", "-e", "-c", code], env=os.environ | {"PATH": path}, timeout=120)
        if done.returncode != 0:
            raise SystemExit(f"{place}: exit {done.returncode}:\n{code}")


def main() -> None:
    page = pathlib.Path(sys.argv[1]).resolve()
    text = page.read_text()
    blocks = list(BLOCK.finditer(text))
    if len(blocks) != len(re.findall(r"^```.+$", text, re.MULTILINE)):
        raise SystemExit(f"{page.name}: a block is neither python nor sh; indent what is only shown")
    if not blocks:
        raise SystemExit(f"{page.name}: no code blocks")
    # Classes that a block defines look themselves up in their module.
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for block in blocks:
            language, file, code = block.groups()
            run_block(language, file, code, f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}", namespace)
        os.chdir("/")
    print(f"{len(blocks)} blocks of {page.name} ran")


if __name__ == "__main__":
    main()
