"""For development: run the server as a child, and start it again when a source file changes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).parent.parent
LOOK_EVERY_S = 0.5


def watch(command: list[str]) -> int:
    """Until the child ends by itself or the user interrupts; gives the exit code."""
    fresh = True
    while True:
        child = subprocess.Popen([*command, *([] if fresh else ["--no-browser"])])
        fresh, seen = False, newest()
        try:
            while child.poll() is None and newest() == seen:
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            child.wait()
            return 0
        if child.poll() is not None:
            return child.returncode
        sys.stderr.write("The source changed; starting again.\n")
        child.terminate()
        child.wait()


def newest() -> float:
    """When a source file was last changed."""
    return max(path.stat().st_mtime for path in SOURCE.rglob("*.py"))
