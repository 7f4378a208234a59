"""Tell systemd that the controller is ready, alive, stopping (sd_notify: one datagram to $NOTIFY_SOCKET).

In:  events of the controller. Out: READY=1 at the first decision, WATCHDOG=1 at each: a loop that hangs is restarted.
"""

from __future__ import annotations

import os
import socket


class Notify:
    """Takes events; does nothing where no socket is named."""

    def __init__(self) -> None:
        self._path = os.environ.get("NOTIFY_SOCKET", "")
        self._ready = False

    def __call__(self, kind: str, /, **fields: object) -> None:
        """Pass on what systemd wants to know."""
        if kind == "decision":
            self._send("WATCHDOG=1" if self._ready else "READY=1")
            self._ready = True
        elif kind == "stopping":
            self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(state.encode(), address)
            except OSError:
                return  # systemd is gone; it will notice by itself
