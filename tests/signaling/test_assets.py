"""The page and the default ICE servers are found, in the tree and when installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from signaling import assets
from signaling.errors import AssetMissing, IceConfigError


def test_the_tree_has_the_page_and_the_servers() -> None:
    assert (assets.page_directory() / "index.html").is_file()
    assert assets.ice_config_file().name == "stun-config.yaml"
    assert assets.default_ice_config().servers


def test_an_installed_package_has_them_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "signaling"
    (package / "web").mkdir(parents=True)
    (package / "web" / "index.html").write_text("inside")
    (package / "stun-config.yaml").write_text("ice_servers: []")
    # Another project's files beside it are not ours.
    (package.parent / "web").mkdir()
    (package.parent / "web" / "index.html").write_text("stranger")
    monkeypatch.setattr(assets, "_PACKAGE", package)
    assert (assets.page_directory() / "index.html").read_text() == "inside"
    assert assets.default_ice_config().servers == ()


def test_a_broken_installation_is_said_to_be_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "signaling")
    with pytest.raises(AssetMissing, match="install it again"):
        assets.page_directory()
    with pytest.raises(AssetMissing, match=r"stun-config\.yaml"):
        assets.default_ice_config()


def test_errors_in_a_file_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("ice_servers: 5")
    with pytest.raises(IceConfigError, match=rf"{path}:1: ice_servers: "):
        assets.read_ice_config(path)
