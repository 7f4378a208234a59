"""Redfish over HTTP: two verbs, with what a hostile or broken answer could do bounded.

In:  URLs, JSON bodies, credentials. Out: `Answer`, or `BackendError` without anything secret in it.
TLS is verified unless the site says otherwise. Redirects are not followed and no proxy or netrc of the environment is
used, so that a password goes only where the topology says. Answers are read up to a size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from armillary.errors import InputError, MissingExtraError
from armillary.power.control.contract import BackendError
from armillary.power.control.credentials import credentials
from armillary.power.control.site import Redfish

LARGEST = 2**20  # bytes of an answer
ACCEPTED = (200, 202, 204)
WANTS_ETAG = (412, 428)


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object, and what else a caller may ask of the answer."""

    body: Mapping[str, Any]
    allow: str | None = None
    "Methods that the resource takes, where it says so."


class Transport(Protocol):
    """What carries Redfish."""

    def get(self, url: str) -> Answer:
        """Read a resource."""

    def patch(self, url: str, body: Mapping[str, object]) -> None:
        """Change a resource; returns when the change is accepted."""

    def close(self) -> None:
        """End all connections."""


def answer_of(status: int, data: bytes, allow: str | None = None) -> Answer:
    """Return what an answer of HTTP says.

    Raises:
        BackendError: an error status, or no JSON object.
    """
    if status in (401, 403):
        raise BackendError(f"refused with {status}: user or password is wrong, or may not do this")
    if status not in ACCEPTED:
        raise BackendError(f"answered {status}")
    if status == 204:
        return Answer({}, allow)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BackendError("answered no JSON") from error
    if not isinstance(body, dict):
        raise BackendError("answered no JSON object")
    return Answer(body, allow)


class HttpxTransport:
    """Redfish through httpx; one client for all servers, used from many threads.

    Args:
        redfish: credentials, certificates, timeout.
        connections: connections at a time.

    Raises:
        MissingExtraError: httpx is not installed.
        InputError: no password, or no such file of certificates.
    """

    def __init__(self, redfish: Redfish, connections: int = 64) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("httpx", "control") from error
        self._httpx = httpx
        self._client = httpx.Client(
            auth=credentials(redfish),
            verify=_verification(redfish),
            timeout=redfish.timeout.value,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections),
            headers={"Accept": "application/json", "OData-Version": "4.0"},
        )

    def get(self, url: str) -> Answer:
        """Read a resource."""
        return self._ask("GET", url)[0]

    def patch(self, url: str, body: Mapping[str, object]) -> None:
        """Change a resource; some controllers want to hear which state of it is meant."""
        try:
            self._ask("PATCH", url, body)
        except _WantsEtagError:
            etag = self._ask("GET", url)[1]
            self._ask("PATCH", url, body, {"If-Match": etag or "*"})

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _ask(
        self, method: str, url: str, body: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Answer, str | None]:
        try:
            with self._client.stream(method, url, json=body, headers=headers) as response:
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > LARGEST:
                        raise BackendError("the answer is too large")
                if response.status_code in WANTS_ETAG and headers is None and method == "PATCH":
                    raise _WantsEtagError(f"answered {response.status_code}")
                answer = answer_of(response.status_code, bytes(data), response.headers.get("Allow"))
                return answer, response.headers.get("ETag")
        except self._httpx.HTTPError as error:
            # Only the kind of the error: its text may repeat a URL or header.
            raise BackendError(f"no answer: {type(error).__name__}") from None


class _WantsEtagError(BackendError):
    """The controller changes a resource only when its present state is named."""


def _verification(redfish: Redfish) -> Any:
    """Return what httpx shall verify certificates with."""
    import ssl

    if not redfish.verify:
        return False
    if redfish.ca_file is not None and not Path(redfish.ca_file).is_file():
        raise InputError("no such file of certificates", where=f"redfish.ca_file: {redfish.ca_file}")
    context = ssl.create_default_context()
    if redfish.ca_file is not None:
        try:
            context.load_verify_locations(redfish.ca_file)
        except ssl.SSLError as error:
            raise InputError("holds no certificates", where=redfish.ca_file) from error
    return context
