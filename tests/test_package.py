"""An installed wheel is complete: command, packages, page, words and ICE configuration."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from peer.version import VERSION

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ROOT, cwd=out)
    (built,) = out.glob("peerline-*.whl")
    return built


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"peerline-{VERSION}-")
    page = (ROOT / "web/client/version.js").read_text(encoding="utf-8")
    assert f"VERSION = '{VERSION}';" in page
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.partition("\n## ")[2].startswith(VERSION)


def test_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "signaling", "peer", "web"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for file in tracked:
        assert (f"signaling/{file}" if file.startswith("web/") else file) in names
    assert "signaling/stun-config.yaml" in names
    assert not [name for name in names if name.startswith("tests")]


def test_installed_wheel_works_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--system-site-packages", "v", cwd=tmp_path)
    python = tmp_path / "v/bin/python"
    # The dependencies come from the environment that runs the tests; peerline itself must not.
    site = [p for p in sys.path if p.endswith("site-packages")]
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel, cwd=tmp_path)
    program = (
        "import sys; sys.path += " + repr(site) + "\n"
        "import peer, signaling\n"
        "from signaling.assets import ice_config_file, page_directory\n"
        "print(peer.__file__); print(page_directory() / 'index.html')\n"
        "print(ice_config_file())\n"
    )
    files = [Path(line) for line in run(python, "-c", program, cwd=tmp_path).split()]
    assert len(files) == 3
    for file in files:
        assert file.is_file()
        assert file.is_relative_to(tmp_path), f"{file} is not the installed one"
    assert (tmp_path / "v/bin/peerline").is_file()
