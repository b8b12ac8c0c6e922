"""The kernel bench's CPU figures as a document to keep, and as the tables of docs/speed.md.

    python bench/speed_table.py condense bench.json... --machine TEXT --commit ID > measurement.json
    python bench/speed_table.py table measurement.json > tables.md
    python bench/speed_table.py brief measurement.json > table.md

`condense` takes what invact_kernels_bench wrote (--benchmark_out), leaves out paths and host names, and keeps of every
comparison the quartiles and the goals. `brief` is one table of medians, of 2^20 elements on one thread. Standard library only.
"""
import argparse
import json
import re
import sys

NAME = re.compile(r"(\w+)/(forward|backward)/(\w+)/cpu/n=(\d+)/threads=(\d+)")
UNITS = {"ratio": "Our time over ATen's", "copy_units": "Our time over that of a plain copy of the same bytes"}


def condense(files, machine, commit):
    results = []
    context = {}
    for file in files:
        with open(file, encoding="utf-8") as source:
            document = json.load(source)
        context = document["context"]
        for row in document["benchmarks"]:
            name = NAME.match(row["name"])
            if name is None or row.get("error_occurred"):
                continue
            op, direction, dtype, count, threads = name.groups()
            result = {"op": op, "direction": direction, "dtype": dtype, "elements": int(count), "threads": int(threads),
                      "aten": row["label"]}
            for unit in UNITS:
                result[unit] = [round(row[unit + suffix], 4) for suffix in ("_lower", "", "_upper")]
                if unit + "_goal" in row:
                    result[unit + "_goal"] = row[unit + "_goal"]
                    result[unit + "_goal_met"] = row[unit + "_goal_met"] != 0
            for side in ("", "aten_", "copy_"):
                result[side + "ns_per_element"] = round(row[side + "ns_per_element"], 5)
            results.append(result)
    return {"schema_version": 1, "date": context["date"], "machine": machine, "commit": commit, "pairs": int(context["pairs"]),
            "quartiles": "lower, median, upper", "results": results}


def power_of_two(count):
    return f"2^{count.bit_length() - 1}" if count & (count - 1) == 0 else str(count)


def table(results, unit):
    columns = sorted({(r["elements"], r["threads"]) for r in results})
    rows = {}
    for r in results:
        rows.setdefault((r["direction"], r["op"], r["dtype"]), {})[r["elements"], r["threads"]] = r
    yield "| direction | operator | dtype | goal | " + " | ".join(f"{power_of_two(n)}, {t}" for n, t in columns) + " |"
    yield "|" + " --- |" * (4 + len(columns))
    for (direction, op, dtype), cells in rows.items():
        goals = {r[unit + "_goal"] for r in cells.values() if unit + "_goal" in r}
        line = [direction, op, dtype, ", ".join(f"{goal:g}" for goal in sorted(goals)) or "-"]
        for column in columns:
            if column not in cells:
                line.append("")
                continue
            lower, median, upper = cells[column][unit]
            text = f"{median:.2f} ({lower:.2f} to {upper:.2f})"
            line.append(text if cells[column].get(unit + "_goal_met", True) else f"**{text}** missed")
        yield "| " + " | ".join(line) + " |"


def brief(document):
    """Our time over ATen's, a column per dtype."""
    results = [r for r in document["results"] if (r["elements"], r["threads"]) == (1 << 20, 1)]
    dtypes = list(dict.fromkeys(r["dtype"] for r in results))
    rows = {}
    for r in results:
        rows.setdefault((r["direction"], r["op"]), {})[r["dtype"]] = f"{r['ratio'][1]:.2f}"
    yield head(document)
    yield ""
    yield "| direction | operator | " + " | ".join(dtypes) + " |"
    yield "|" + " --- |" * (2 + len(dtypes))
    for (direction, op), cells in rows.items():
        yield "| " + " | ".join([direction, op] + [cells.get(dtype, "") for dtype in dtypes]) + " |"


def head(document):
    goals = [r[unit + "_goal_met"] for r in document["results"] for unit in UNITS if unit + "_goal_met" in r]
    return (f"{document['date'][:10]}, {document['machine']}, commit {document['commit']}, {document['pairs']} pairs. "
            f"{sum(goals)} of {len(goals)} goals met.")


def tables(document):
    yield head(document)
    for unit, title in UNITS.items():
        yield ""
        yield f"### {title}"
        yield ""
        yield from table(document["results"], unit)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    condensing = commands.add_parser("condense")
    condensing.add_argument("files", nargs="+")
    condensing.add_argument("--machine", required=True, help="its kind, not its name")
    condensing.add_argument("--commit", required=True)
    for name in ("table", "brief"):
        commands.add_parser(name).add_argument("file")
    arguments = parser.parse_args()
    if arguments.command == "condense":
        document = condense(arguments.files, arguments.machine, arguments.commit)
        context = {key: value for key, value in document.items() if key != "results"}
        lines = ",\n".join("  " + json.dumps(result) for result in document["results"])
        print(json.dumps(context, indent=1)[:-2] + ',\n "results": [\n' + lines + "\n ]\n}")
        return
    with open(arguments.file, encoding="utf-8") as source:
        document = json.load(source)
    lines = tables(document) if arguments.command == "table" else brief(document)
    sys.stdout.writelines(line + "\n" for line in lines)


if __name__ == "__main__":
    main()
