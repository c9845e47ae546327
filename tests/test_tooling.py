"""The tools of the repository are set up as CONTRIBUTING.md says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_configuration_of_the_hooks_is_valid() -> None:
    done = run(sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_hooks_come_from_this_repository_alone() -> None:
    assert [repo["repo"] for repo in HOOKS["repos"]] == ["local"]
    for hook in HOOKS["repos"][0]["hooks"]:
        assert hook["language"] == "system", hook["id"]
        program = hook["entry"].split()[0]
        assert program == "make" or (ROOT / program).exists(), program


def test_every_target_of_make_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    assert phony is not None
    targets = set(phony[1].replace("\\", " ").split())
    told = set(re.findall(r"^make (\S+) +\S", run("make", "help").stdout, re.MULTILINE))
    assert told == targets


def test_pages_and_scripts_name_only_targets_of_make_that_exist() -> None:
    targets = set(re.findall(r"^make (\S+)", run("make", "help").stdout, re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / ".ci/run"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:`|^    |^)make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page.name} names make {target}"
