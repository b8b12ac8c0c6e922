"""An analyze document of a model that does not exist: a transformer of many blocks, valid by schemas/analyze.schema.json, with
everything that the page can draw. The same arguments give the same document."""

from __future__ import annotations

import random
from typing import Any

Document = dict[str, Any]

# Of one block: name, class, operator, KiB kept, kind of duplicate.
_BLOCK = (
    ("ln_1", "LayerNorm", "aten::layer_norm", 512, "norm"),
    ("attn.qkv", "Linear", "aten::linear", 512, None),
    ("attn.sdpa", "Attention", "aten::scaled_dot_product_attention", 1536, None),
    ("attn.proj", "Linear", "aten::linear", 512, None),
    ("attn.drop", "Dropout", "aten::dropout", 128, "dropout"),
    ("ln_2", "LayerNorm", "aten::layer_norm", 512, "norm"),
    ("mlp.fc", "Linear", "aten::linear", 512, None),
    ("mlp.act", "GELU", "aten::gelu", 2048, "activation"),
    ("mlp.proj", "Linear", "aten::linear", 2048, None),
    ("mlp.drop", "Dropout", "aten::dropout", 128, "dropout"),
)
_FLOOR = {"aten::linear", "aten::scaled_dot_product_attention"}
_HEAD: Document = {
    "schema_version": "1.1",
    "tool": {"name": "invact", "version": "0.0"},
    "environment": {"libtorch": "0.0", "cpu_capability": "AVX2", "cuda_build": False, "cupti_api_version": None},
    "inputs": [{"name": "tokens", "dtype": "int64", "shape": [4, 128], "bytes": 4096, "fill": "0..30522"}],
    "run": {"device": "cpu", "mode": "train", "executor": "eager", "autocast": None, "seed": 0, "threads": 2},
}


def make_report(module_count: int, name_suffix: str = "") -> Document:
    """`name_suffix` ends every module's name and every source file's: for names that a page must not take for its own."""
    storages = [_storage(i, name_suffix) for i in range(module_count)]
    duplicates = [_duplicate(i, storage) for i, storage in enumerate(storages) if _row(i)[4]]
    sites = [_site(i, storages[i]) for i in range(module_count) if _row(i)[4] == "activation"]
    saved = sum(storage["bytes"] for storage in storages)
    unattributed = sum(storage["bytes"] for storage in storages if storage["module"] is None)
    freed = -sum(site["saved_bytes_delta"] for site in sites if site["decision"] == "accepted")
    return {
        **_HEAD,
        "model": {"path": "/models/synthetic.pt", "sha256": "0" * 64, "parameter_bytes": 1 << 27, "buffer_bytes": 4096},
        "totals": {
            "saved_tensors": sum(len(storage["savers"]) for storage in storages),
            "saved_storages": len(storages),
            "saved_bytes": saved,
            "duplicate_bytes": sum(duplicate["bytes"] for duplicate in duplicates),
            "floor_bytes": sum(storage["bytes"] for storage in storages if storage["in_floor"]),
            "unattributed_bytes": unattributed,
            "reclaimable_bytes": freed,
        },
        "modules": _by_bytes(
            {"path": storage["module"], "type": f"__torch__.net.{_row(i)[1]}", "saved_bytes": storage["bytes"]}
            for i, storage in enumerate(storages)
            if storage["module"] is not None
        ),
        "storages": _by_bytes(storages, "bytes"),
        "duplicates": _by_bytes(duplicates, "bytes"),
        "timeline": _timeline(storages),
        "executors": None,
        "notes": [],
        "sites": sites,
        "prediction": {"saved_bytes_before": saved, "saved_bytes_after": saved - freed},
    }


def make_after(report: Document) -> Document:
    """The document of the rewritten model: each accepted site's module keeps less."""
    freed = {site["module"]: -site["saved_bytes_delta"] for site in report["sites"] if site["decision"] == "accepted"}
    modules = [{**row, "saved_bytes": row["saved_bytes"] - freed.get(row["path"], 0)} for row in report["modules"]]
    peak = report["timeline"]["peak"]
    timeline = {**report["timeline"], "peak": {**peak, "bytes": peak["bytes"] - 4096}}
    totals = {**report["totals"], "saved_bytes": report["prediction"]["saved_bytes_after"], "duplicate_bytes": 0}
    return {**report, "totals": totals, "modules": modules, "timeline": timeline}


def _by_bytes(rows: Any, key: str = "saved_bytes") -> list[Document]:
    return sorted(rows, key=lambda row: -row[key])


def _row(i: int) -> tuple[str, str, str, int, str | None]:
    return _BLOCK[i % len(_BLOCK)]


def _storage(i: int, suffix: str) -> Document:
    name, _, op, kib, _ = _row(i)
    attributed = i % 97 != 96
    module = f"transformer.h.{i // len(_BLOCK)}.{name}{suffix}" if attributed else None
    source = {"file": f"/env/lib/python3.11/site-packages/net/blocks{suffix}.py", "line": 20 + i % len(_BLOCK)}
    saver = {"module": module, "op": op, "source": source}
    return {
        "id": i,
        # Odd numbers, so that a sum that loses a byte shows.
        "bytes": kib * 1024 + i,
        "dtype": "float32",
        "shape": [4, 128, kib // 2],
        **saver,
        "in_floor": op in _FLOOR,
        "savers": [saver] * (1 + i % 2),
    }


def _duplicate(i: int, storage: Document) -> Document:
    return {
        "kind": _row(storage["id"])[4],
        "storage": storage["id"],
        "kept_storages": [(storage["id"] + 1)],
        "bytes": storage["bytes"],
        "module": storage["module"],
        "op": storage["op"],
        "source": storage["source"],
        "advice": "Keep the output alone: `invact rewrite` does.",
    }


def _site(i: int, storage: Document) -> Document:
    accepted = i % 3 != 0
    return {
        "id": f"{storage['module']}/forward#{i}",
        "module": storage["module"] or "",
        "op": storage["op"],
        "replacement": "invact::gelu",
        "source": storage["source"],
        "strategy": "output",
        "decision": "accepted" if accepted else "rejected",
        "reason_code": "accepted" if accepted else "output_not_kept",
        "reason": "" if accepted else "nobody else keeps its output, so nothing is kept twice",
        "saved_bytes_delta": storage["bytes"] // 32 - storage["bytes"] if accepted else 0,
    }


def _timeline(storages: list[Document]) -> Document:
    """Forward allocates the storages one after the other, backward frees them in the opposite order."""
    numbers = random.Random(1)
    parameters, step_ns = 1 << 27, 400_000
    points = [[0, parameters, 0, 0, 0, 2 << 20]]
    saved = gradients = now = 0
    for storage in storages:
        now += step_ns
        saved += storage["bytes"]
        points.append([now, parameters, gradients, saved, numbers.randrange(8 << 20), 2 << 20])
    forward_end = now
    releases = []
    for storage in reversed(storages):
        now += 2 * step_ns
        points.append([now, parameters, gradients, saved, numbers.randrange(24 << 20), 2 << 20])
        saved -= storage["bytes"]
        gradients += parameters // len(storages)
        releases.append({"storage": storage["id"], "time_ns": now})
    points.append([now + step_ns, parameters, gradients, saved, 0, 2 << 20])
    points = points[:: 1 + len(points) // 512]
    return {
        "backend": "c10 CPU allocator",
        "forward_end_ns": forward_end,
        "end_ns": now + step_ns,
        "columns": ["time_ns", "parameters", "gradients", "saved", "temporaries", "other"],
        "points": points,
        "peak": _peak(points, storages, forward_end, {release["storage"]: release["time_ns"] for release in releases}),
        "releases": releases,
    }


def _peak(points: list[list[int]], storages: list[Document], forward_end: int, released: dict[int, int]) -> Document:
    highest = max(points, key=lambda point: sum(point[1:]))
    kinds = ("parameters", "gradients", "saved", "temporaries", "other")
    live = [
        {"bytes": row["bytes"], "kind": "saved", "storage": row["id"], "op": row["op"]}
        for row in storages
        if released[row["id"]] >= highest[0]
    ]
    live.append({"bytes": highest[4], "kind": "temporaries", "storage": None, "op": "aten::mm"})
    return {
        "bytes": sum(highest[1:]),
        "time_ns": highest[0],
        "phase": "forward" if highest[0] < forward_end else "backward",
        "op": "aten::mm",
        "live_bytes": dict(zip(kinds, highest[1:])),
        "live": _by_bytes(live, "bytes")[:50],
    }
