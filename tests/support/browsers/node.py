"""Node, for what runs the page's modules outside a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache


@cache
def node_command() -> tuple[str, ...]:
    """Node with the flags under which it takes the page's modules as a browser does.

    Raises:
        FileNotFoundError: There is no Node.
    """
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("Node is missing: apt-get install nodejs")
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", shown)[:2])
    flags = ["--no-warnings"]
    if version < (20, 19):  # until then `.js` meant CommonJS unless told otherwise
        flags.append("--experimental-default-type=module")
    if version < (20, 0):  # Debian 12 ships 18
        flags.append("--experimental-global-webcrypto")
    return (node, *flags)
