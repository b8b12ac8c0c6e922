"""Whether the torch at hand is the one that the library was built for."""

from _invact import build


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])


def mismatch(torch_version: str) -> str | None:
    """Says what is wrong with this version of torch, in one sentence; None if nothing is.

    Major and minor must be equal: LibTorch's C++ interfaces change between releases, not within one.
    """
    if _release(torch_version) == _release(build.TORCH_VERSION):
        return None
    return (
        f"invact {build.VERSION} was built for torch {_release(build.TORCH_VERSION)}, but torch {torch_version} is "
        f"installed: pip install 'torch=={_release(build.TORCH_VERSION)}.*', or an invact that was built for torch "
        f"{_release(torch_version)}."
    )
