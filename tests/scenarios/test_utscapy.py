"""The UTScapy campaign, run as Scapy people run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CAMPAIGN = ROOT / "tests" / "scapy" / "opend.uts"


def run(campaign: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scapy.tools.UTscapy", "-f", "text", "-N", "-t", str(campaign)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", timeout=300)


def test_every_test_of_the_campaign_passes() -> None:
    tests = len(re.findall("^= ", CAMPAIGN.read_text("utf-8"), re.MULTILINE))
    done = run(CAMPAIGN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASSED={tests} FAILED=0" in done.stdout + done.stderr


def test_a_failing_test_would_be_seen(tmp_path: Path) -> None:
    campaign = tmp_path / "wrong.uts"
    text = CAMPAIGN.read_text("utf-8")
    assert "(1004, 7, 8)" in text
    campaign.write_text(text.replace("(1004, 7, 8)", "(1004, 7, 9)"), "utf-8")
    assert run(campaign).returncode != 0
