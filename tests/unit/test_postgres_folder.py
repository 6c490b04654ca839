"""What an embedded server keeps in its folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.folder import LOOPBACK, ServerFolder, kept_secret
from omc_infra.postgres.postmaster import PidFile


def test_the_port_is_chosen_once(tmp_path: Path) -> None:
    folder = ServerFolder.prepare(tmp_path)

    assert folder.port() == folder.port() == ServerFolder.prepare(tmp_path).port()


def test_a_taken_port_gives_way_to_another_which_is_remembered(tmp_path: Path) -> None:
    folder = ServerFolder.prepare(tmp_path)
    first = folder.port()

    with socket.create_server((LOOPBACK, first)):
        second = folder.port()

    assert second != first
    assert folder.port() == second


@pytest.mark.parametrize("text", ["", "no number", "70000", "-1"])
def test_an_unreadable_port_file_is_replaced(tmp_path: Path, text: str) -> None:
    folder = ServerFolder.prepare(tmp_path)
    (folder.path / "port").write_text(text)

    assert 1024 < folder.port() < 65_536


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret = kept_secret(tmp_path / "secret")

    assert kept_secret(tmp_path / "secret") == secret
    assert len(secret) > 40
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_short_path_keeps_its_socket_and_a_long_one_moves_it(tmp_path: Path) -> None:
    short, long = ServerFolder(tmp_path), ServerFolder(tmp_path / ("x" * 100))
    long.path.mkdir()

    elsewhere = long.sockets()

    assert short.sockets().parent == tmp_path or len(os.fsencode(tmp_path)) > 80
    assert len(os.fsencode(elsewhere)) < 40
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    long.remove_sockets()
    assert not elsewhere.exists()


def test_a_home_that_cannot_be_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="OMC_HOME"):
        ServerFolder.prepare(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "12", "12\n/data\n0\n", "x\n\n\n1\n"])
def test_a_pid_file_cut_short_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text)

    assert PidFile.read(tmp_path / "postmaster.pid") is None
