"""An OpenSSH server on loopback, with keys, ports and a configuration of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

SSH = shutil.which("ssh")
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Server(NamedTuple):
    """A server. folder: its keys and configuration. config: the client's configuration file."""

    folder: Path
    port: int
    config: Path

    def stop_accepting(self) -> None:
        """End the listening process; connections go on."""
        os.kill(int((self.folder / "pid").read_text()), 15)


@contextmanager
def serving(folder: Path, *, environment: str = "") -> Iterator[Server]:
    """Run a server. environment: of its sessions, NAME=VALUE."""
    assert SSHD
    folder.mkdir(mode=0o700, parents=True)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = _free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nMaxStartups 100\nMaxSessions 100\n"
        + (f"SetEnv {environment}\n" if environment else "")
    )
    key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    config = folder / "config"
    config.write_text(
        f"Host *\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  StrictHostKeyChecking yes\n"
    )
    # A pipe that nobody reads would stop the server once it is full.
    command = [SSHD, "-D", "-E", str(folder / "log"), "-f", str(folder / "sshd_config")]
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield Server(folder, port, config)
    finally:
        process.terminate()
        process.wait()


def reach(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ssh, and the devices' file, be those of a server, on which the device pi is."""
    folder = server.folder.parent / "client"
    folder.mkdir(exist_ok=True)
    shim = folder / "ssh"
    shim.write_text(f'#!/bin/sh\nexec {SSH} -F {server.config} "$@"\n')
    shim.chmod(0o755)
    (folder / "devices.toml").write_text(f'[pi]\nssh = "pi"\npython = "{sys.executable}"\n')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("MNV3PROF_CONFIG", str(folder))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return
