#!/usr/bin/env python3
"""Figures of the source tree's structure: how fragmented it is, and which includes run upwards.

    structure.py [--root FOLDER] [--moves FILE.tsv]

Counts the C++ and CUDA files of kernels/, analyzer/, rewriter/ and cli/ without the generated coefficient headers. The order
of the rooms in a folder is that of `rooms(...)` in this tree's tests/include_rules.cmake; an include from an earlier room
to a later one runs upwards. FILE.tsv (old path, tab, new path) says in which room a file of an older tree would stand
today. The longest function is found by indentation, which clang-format keeps.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import statistics
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("kernels", "analyzer", "rewriter", "cli")
SUFFIXES = (".h", ".cpp", ".cu", ".cuh")
FLAG_HOLDERS = ("Candidate", "Match", "SiteReader", "Consumer")
SMALL = 30
INCLUDE = re.compile(r'#include "([^"]+)"')


def sources(root: pathlib.Path) -> list[pathlib.PurePosixPath]:
    found = []
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix in SUFFIXES and not path.name.endswith("_coefficients.h"):
                found.append(pathlib.PurePosixPath(path.relative_to(root).as_posix()))
    return sorted(found)


def room_orders() -> dict[str, list[str]]:
    text = (HERE / "tests" / "include_rules.cmake").read_text()
    orders = {}
    for call in re.finditer(r"^rooms\((\w+)([^)]*)\)", text, re.MULTILINE):
        orders[call.group(1)] = call.group(2).split()
    return orders


def rank(path: str, folder: str, order: list[str]) -> int | None:
    """The place of a file's room in the folder's order; a room is a sub-folder or a comma-separated list of files."""
    inside = path.removeprefix(folder + "/")
    for place, room in enumerate(order):
        names = room.split(",")
        if inside.split("/")[0] in names or re.sub(r"\.\w+$", "", inside) in names:
            return place
    return None


def upward_includes(root: pathlib.Path, folder: str, order: list[str], moves: dict[str, str]) -> list[str]:
    found = []
    for path in sources(root):
        if path.parts[0] != folder:
            continue
        own = rank(moves.get(str(path), str(path)), folder, order)
        for included in INCLUDE.findall((root / path).read_text()):
            if not included.startswith(folder + "/"):
                continue
            other = rank(moves.get(included, included), folder, order)
            if own is not None and other is not None and other > own:
                found.append(f"{path} includes {included}")
    return found


def functions(text: str) -> Iterator[tuple[int, str]]:
    """The lines that each function takes, and how it begins."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if indent > 2 or not line.endswith("{") or "(" not in "".join(lines[max(0, start - 4) : start + 1]):
            continue
        if re.match(r"\s*(namespace|class|struct|enum|union|extern|switch|if|for|while|do)\b", line) or "= {" in line:
            continue
        closing = " " * indent + "}"
        for end in range(start + 1, len(lines)):
            if lines[end].startswith(closing) and not lines[end].startswith(closing + " else"):
                yield end - start + 1, line.strip()
                break


def flags(text: str) -> int:
    """Boolean members of the structs that describe a site while a plan is made."""
    count = 0
    for holder in FLAG_HOLDERS:
        for body in re.findall(rf"^struct {holder} \{{\n(.*?)^\}};", text, re.MULTILINE | re.DOTALL):
            count += len(re.findall(r"^  bool \w+(?: = \w+)?;", body, re.MULTILINE))
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=HERE)
    parser.add_argument("--moves", type=pathlib.Path)
    parser.add_argument("-v", "--verbose", action="store_true", help="list the small files and the upward includes")
    options = parser.parse_args()
    moves = {}
    if options.moves:
        moves = dict(line.split("\t") for line in options.moves.read_text().splitlines())
    texts = {path: (options.root / path).read_text() for path in sources(options.root)}
    lengths = {path: text.count("\n") for path, text in texts.items()}
    small = [path for path, length in lengths.items() if length < SMALL]
    longest = max(((length, head, path) for path, text in texts.items() for length, head in functions(text)))
    print(f"files                 {len(lengths)}")
    print(f"median lines          {statistics.median(lengths.values()):.0f}")
    print(f"longest file          {max(lengths.values())}")
    print(f"files under {SMALL} lines  {len(small)}")
    print(f"longest function      {longest[0]} lines, in {longest[2]}")
    for folder, order in room_orders().items():
        upward = upward_includes(options.root, folder, order, moves)
        print(f"upward includes       {len(upward)} in {folder}/")
        if options.verbose:
            print("".join(f"    {line}\n" for line in upward), end="")
    print(f"boolean flags         {sum(map(flags, texts.values()))} in {', '.join(FLAG_HOLDERS)}")
    if options.verbose:
        print("".join(f"    {lengths[path]:3} {path}\n" for path in small), end="")


if __name__ == "__main__":
    main()
