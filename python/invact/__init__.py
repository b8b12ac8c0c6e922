"""The operators of models that `invact rewrite` wrote.

Importing this package registers them with torch; `torch.jit.load` then takes such a model:

    import invact, torch
    model = torch.jit.load("model.invact.pt")

Without it, torch.jit.load stops with "Unknown builtin op: invact::gelu". The command `invact` (also `python -m invact`)
is the tool that analyzes and rewrites models.
"""

import pathlib

import torch

from _invact import build, torch_release

__all__ = ["__version__", "executable_path", "library_path"]

__version__ = build.VERSION

_FOLDER = pathlib.Path(__file__).resolve().parent


def library_path() -> pathlib.Path:
    """The operator library, for other loaders: `dlopen` in a C++ program, `torch.ops.load_library` elsewhere."""
    return _FOLDER / "lib" / "libinvact_kernels.so"


def executable_path() -> pathlib.Path:
    """The executable behind the command `invact`, which runs it with torch's library folders in LD_LIBRARY_PATH."""
    return _FOLDER / "bin" / "invact"


def _register_operators() -> None:
    # Before anything is loaded: with another release's LibTorch the library may crash rather than fail.
    if problem := torch_release.mismatch(torch.__version__):
        raise ImportError(problem)
    if build.CUDA_MAJOR and (torch.version.cuda or "").partition(".")[0] != build.CUDA_MAJOR:
        found = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        raise ImportError(
            f"invact {build.VERSION} has kernels for CUDA {build.CUDA_MAJOR}, but torch {torch.__version__} was built "
            f"{found}: install a torch for CUDA {build.CUDA_MAJOR}, or build an invact for this one."
        )
    torch.ops.load_library(library_path())


_register_operators()
