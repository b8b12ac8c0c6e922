"""The command `invact`: runs the executable of this package, which finds LibTorch in the installed torch."""

import importlib.metadata
import importlib.util
import os
import pathlib
import sys
from typing import NoReturn

from _invact import build, torch_release

EXIT_ENVIRONMENT = 5  # as the executable's own
EXECUTABLE = pathlib.Path(__file__).resolve().parent.parent / "invact" / "bin" / "invact"


def _stop(message: str) -> NoReturn:
    print(f"invact: {message}", file=sys.stderr)
    sys.exit(EXIT_ENVIRONMENT)


def _folders(package: str, *inside: str) -> list[pathlib.Path]:
    """Existing folders `inside` a package, which is found but not imported: torch takes seconds."""
    spec = importlib.util.find_spec(package)
    homes = spec.submodule_search_locations if spec else None
    candidates = [pathlib.Path(home, *inside) for home in homes or []]
    return [folder for folder in candidates if folder.is_dir()]


def library_folders() -> list[pathlib.Path]:
    """Where the executable finds LibTorch and, with CUDA, the CUDA libraries that torch depends on."""
    folders = _folders("torch", "lib")
    if not folders:
        release = ".".join(build.TORCH_VERSION.split(".")[:2])
        _stop(f"no torch for {sys.executable}: pip install 'torch=={release}.*'.")
    if build.CUDA_MAJOR:
        folders += _folders("nvidia", f"cu{build.CUDA_MAJOR}", "lib")
    return folders


def _check_torch() -> None:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return  # Built by hand, without metadata: the executable itself checks what it has loaded.
    if problem := torch_release.mismatch(version):
        _stop(problem)


def main() -> NoReturn:
    """Becomes the executable, with this process's arguments."""
    folders = [str(folder) for folder in library_folders()]
    _check_torch()
    if others := os.environ.get("LD_LIBRARY_PATH"):
        folders.append(others)
    sys.stdout.flush()
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
    os.execve(EXECUTABLE, ["invact", *sys.argv[1:]], environment)
