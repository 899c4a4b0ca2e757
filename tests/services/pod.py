"""A network namespace: a process in it has a network of its own, as a pod has.

A test sets and lifts its policies. Needs root.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import UnavailableError


@dataclass(frozen=True)
class Pod:
    """A namespace of that name."""

    name: str
    host: str
    """The address at which the pod reaches this machine."""

    @property
    def within(self) -> list[str]:
        """The start of a command line that runs in the pod."""
        return ["ip", "netns", "exec", self.name]

    def close(self, how: str) -> None:
        """No connection goes out; `how` is the target of iptables: REJECT or DROP."""
        self._iptables("--append", "OUTPUT", "--protocol", "tcp", "--jump", how)

    def open(self) -> None:
        """The policies are there, and let everything out."""
        self._iptables("--flush", "OUTPUT")

    def know(self, *names: str) -> None:
        """The names lead to this machine from now on."""
        with (Path("/etc/netns") / self.name / "hosts").open("a") as hosts:
            hosts.write(f"{self.host} {' '.join(names)}\n")

    def _iptables(self, *arguments: str) -> None:
        subprocess.run([*self.within, "iptables", *arguments], check=True)


@contextmanager
def network_of_its_own() -> Iterator[Pod]:
    """A pod without policies, to which no name is known. Raises UnavailableError where this machine can have none."""
    missing = [tool for tool in ("ip", "iptables") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        raise UnavailableError(
            f"network namespaces need root, ip and iptables; missing: {', '.join(missing) or 'root'}"
        )
    number = secrets.randbelow(2**14) * 4  # of a network of four addresses, two of them for hosts
    network = f"10.231.{number // 256}"
    one, address = Pod(f"finest-{number}", f"{network}.{number % 256 + 1}"), f"{network}.{number % 256 + 2}"
    files, link = Path("/etc/netns") / one.name, one.name
    try:
        _ip("netns", "add", one.name)
        files.mkdir(parents=True)
        (files / "hosts").write_text("127.0.0.1 localhost\n")
        # Nobody answers there.
        (files / "resolv.conf").write_text(f"nameserver {one.host}\noptions timeout:1 attempts:1\n")
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", one.name)
        _ip("address", "add", f"{one.host}/30", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", one.name, "address", "add", f"{address}/30", "dev", "eth0")
        _ip("-n", one.name, "link", "set", "eth0", "up")
        _ip("-n", one.name, "link", "set", "lo", "up")
        yield one
    finally:
        subprocess.run(["ip", "link", "delete", link], capture_output=True)
        subprocess.run(["ip", "netns", "delete", one.name], capture_output=True)
        shutil.rmtree(files, ignore_errors=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"no network namespace here: ip {' '.join(arguments)}: {done.stderr.strip()}")
