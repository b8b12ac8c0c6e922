"""Hatchling's build hook: the wheel serves every Python 3, on this platform alone.

The library uses LibTorch and no libpython. The platform is plain linux: a manylinux tag would promise a libstdc++ older
than the one that this machine's compiler asks for.
"""

import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelTag(BuildHookInterface):
    """Sets the tag."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
