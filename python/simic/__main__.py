"""``python -m simic``: the program itself."""

import subprocess
import sys

from ._program import find_bin


def main() -> int:
    """Runs the program with this process's arguments and streams."""
    with subprocess.Popen([find_bin(), *sys.argv[1:]]) as program:
        while True:
            try:
                return program.wait()
            except KeyboardInterrupt:
                # The program got the same signal, cleans up and says how it ended.
                continue


if __name__ == "__main__":
    sys.exit(main())
