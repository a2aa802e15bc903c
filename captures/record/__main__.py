"""Make the captures again: ``python -m captures.record [FILE...]`` as root, from the root of the repository.

Needs Linux, tcpdump, dumpcap and tshark (Wireshark), iproute2 and unshare. Everything runs in a private network
namespace: no packet leaves it, and nothing of the host is changed or recorded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .catalogue import RECORDINGS, Recording
from .environment import bundle_javascript, python_of
from .merge import write_expected

CAPTURES = Path(__file__).parent.parent
ROOT = CAPTURES.parent


def make(recording: Recording) -> None:
    """Record, merge what the ends wrote down, put the files in place, check them."""
    python = python_of(recording.environment)
    if recording.environment == "websocket":
        bundle_javascript()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        # The SDK writes its log below HOME.
        environment = {**os.environ, "HOME": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        run = ["unshare", "--net", python, "-m", "captures.record.run", recording.file, directory]
        subprocess.run(run, cwd=ROOT, env=environment, check=True)
        write_expected(work, CAPTURES / f"{recording.name}.expected.jsonl")
        shutil.copyfile(work / recording.file, CAPTURES / recording.file)
        if recording.key_log:
            shutil.copyfile(work / "keylog.txt", CAPTURES / f"{recording.name}.keylog")
        check = [python, "-m", "captures.record.check", recording.file]
        subprocess.run(check, cwd=ROOT, env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m captures.record", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="capture files to make again (default: all)")
    wanted = parser.parse_args().files
    by_name = {recording.file: recording for recording in RECORDINGS}
    if unknown := sorted(set(wanted) - by_name.keys()):
        parser.error(f"no such recording: {', '.join(unknown)} (there are {', '.join(by_name)})")
    for recording in RECORDINGS:
        if not wanted or recording.file in wanted:
            make(recording)


if __name__ == "__main__":
    main()
