"""What a server's launcher is given, and what it has to answer."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tickloop.infra.java import Java
from tickloop.infra.pins import Pin
from tickloop.infra.processes import Known


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is started: its files, its folder, its ports, how much memory it gets."""

    files: Path  # what was installed
    folder: Path  # its data, configuration and logs
    ports: Mapping[str, int]
    java: Java
    memory_mib: int
    workers: int = 1  # processes that do the work, where a server has such


@dataclass(frozen=True, slots=True)
class Launcher:
    """How one server is started and asked whether it is well."""

    pin: Pin
    ports: Mapping[str, int]  # usual ones; clients use the first
    memory_mib: int
    start: Callable[[Place], tuple[Known, ...]]
    answers: Callable[[str, int], bool]


def get(url: str, timeout_s: float = 2.0) -> bytes | None:
    """Ask over HTTP on this machine or a named one; None if there is no good answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - http
            return bytes(answer.read())
    except (OSError, urllib.error.URLError, ValueError):
        return None


def get_json(url: str) -> object:
    """Ask over HTTP for JSON; None if there is no good answer."""
    text = get(url)
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def exchange(host: str, port: int, request: bytes, size: int) -> bytes:
    """Send bytes over TCP and read `size` bytes; fewer if the peer says less, or nothing."""
    found = b""
    try:
        with socket.create_connection((host, port), timeout=2.0) as peer:
            peer.sendall(request)
            while len(found) < size and (piece := peer.recv(size - len(found))):
                found += piece
    except OSError:
        return b""
    return found
