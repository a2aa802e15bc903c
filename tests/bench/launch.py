"""Run the command in the arguments with its output in a file, and print what it cost: wall, CPU seconds, peak bytes.

A program of its own, and a small one: the peak of a process counts from its fork on, so that of whoever starts it
would be counted with it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time


def main() -> int:
    """Run the command and give its exit status."""
    with tempfile.TemporaryFile() as printed:
        begin = time.perf_counter()
        process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([wall, usage.ru_utime + usage.ru_stime, peak]))
    process.returncode = os.waitstatus_to_exitcode(status)
    return abs(process.returncode)


if __name__ == "__main__":
    sys.exit(main())
