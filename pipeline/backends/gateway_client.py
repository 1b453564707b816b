"""Talks to the gateway over HTTP: chats, feedback, and the control endpoints.

`GatewayClient` is an `Engine` like any other, so a stage does not know whether versions live here or over there.
"""

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from pipeline.backends.engines.interface import EngineError, Fingerprint, Proof
from pipeline.lib.config import Settings
from pipeline.lib.errors import BadRecordError, ConfigurationError, UnavailableError
from pipeline.lib.files import read_json
from pipeline.lib.records import Message

_CONNECTIONS = 128
_ABOUT_THE_CHAT = (400, 413, 422)  # it refuses this one, and may answer the next


class RefusedChatError(BadRecordError):
    """It refused one chat for what that is: too long, or a role that its template does not know.

    Whoever asks many questions takes it as an answer that there is none. `problem` is short, for counting: `HTTP 400`.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, "the question is too long, or the model's chat template refuses it")
        self.problem = f"HTTP {status}"


class OverloadedError(UnavailableError):
    """Too many requests were waiting; nothing was asked."""


class GatewayClient:
    """One pooled connection to one gateway; safe to use from many threads."""

    def __init__(self, settings: Settings, timeout: float = 60, retries: int = 3) -> None:
        """Point at the gateway of this home.

        Args:
            settings: name the public model; the address is where the running gateway said it listens.
            timeout: seconds to wait for an answer.
            retries: how often a connection that could not be made is tried again; 0 for who asks again anyway.
        """
        self.layout = settings.layout
        self.model = settings.model.name
        self.url = address(settings)
        self.timeout = timeout
        self._session = requests.Session()
        # Only a connection that was never made is tried again: nothing is asked, or paid, twice.
        retry = Retry(total=retries, connect=retries, read=0, status=0, other=0, backoff_factor=0.2)
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=retry))

    def chat(self, messages: list[Message], purpose: str, version: str = "", **options: Any) -> dict[str, Any]:
        """Ask; returns the chat.completion.

        Args:
            messages: the chat.
            purpose: `user` is logged as somebody's question; anything else is not.
            version: a loaded version, or none for the public name.
            options: further fields of the request (temperature, n, …).

        Raises:
            UnavailableError: no gateway, or it answered with an error of its own.
            RefusedChatError: it refused this chat, as it would the next time.
            BadRecordError: it refused the request for another reason: a version that is not loaded.
        """
        body = {"model": f"{self.model}@{version}" if version else self.model, "messages": messages, **options}
        return self._call("POST", "/v1/chat/completions", body, {"x-nightschool-purpose": purpose})

    def feedback(self, interaction: str, **said: Any) -> dict[str, Any]:
        """Say what came of an answer; durable when this returns."""
        return self._call("POST", "/v1/feedback", {"interaction_id": interaction, **said})

    def health(self) -> dict[str, Any]:
        """What is serving."""
        return self._call("GET", "/health")

    def window(self, version: str, since: float) -> dict[str, Any]:
        """What happened to a version since a moment."""
        return self._call("GET", f"/control/window?version={version}&since={since}", headers=self._token())

    @property
    def active(self) -> str:
        """The version that the public name means."""
        return str(self.health()["adapter"])

    def versions(self) -> dict[str, str | None]:
        """What is loaded."""
        return dict(self.health()["loaded"])

    def prepare(self, version: str) -> Fingerprint:
        """See Engine."""
        return Fingerprint.from_json(self._control("prepare", version, timeout=600)["fingerprint"])

    def load(self, version: str) -> None:
        """See Engine."""
        self._control("load", version)

    def verify(self, version: str, fingerprint: Fingerprint, public: bool = False) -> Proof:
        """See Engine."""
        answer = self._control("verify", version, fingerprint=fingerprint.to_json(), public=public)
        return Proof(**answer["proof"])

    def activate(self, version: str) -> None:
        """See Engine."""
        self._control("activate", version)

    def drain(self, version: str, timeout: float) -> bool:
        """See Engine."""
        return bool(self._control("drain", version, timeout=timeout)["drained"])

    def unload(self, version: str) -> None:
        """See Engine."""
        self._control("unload", version)

    def share(self, version: str, share: float, seconds: float = 1) -> None:
        """Let a loaded version answer this share of the public name's traffic for so long at most; 0 ends it."""
        self._control("share", version, share=share, seconds=seconds)

    def _control(self, verb: str, version: str, **more: Any) -> dict[str, Any]:
        return self._call("POST", f"/control/{verb}", {"version": version, **more}, self._token())

    def _token(self) -> dict[str, str]:
        try:
            return {"authorization": f"Bearer {self.layout.control_token.read_text(encoding='ascii').strip()}"}
        except OSError as error:
            raise ConfigurationError(
                f"no control token at {self.layout.control_token}",
                "`nightschool serve` makes it; start it in this home",
            ) from error

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        timeout = max(self.timeout, float((body or {}).get("timeout", 0)) + 5)
        try:
            response = self._session.request(method, self.url + path, json=body, headers=headers, timeout=timeout)
            value = response.json()
        except (requests.RequestException, ValueError) as error:
            raise UnavailableError(
                f"no answer from the gateway at {self.url} ({type(error).__name__})",
                "start it with `nightschool serve`, or correct server.host and server.port",
            ) from error
        if response.ok and isinstance(value, dict):
            return value
        raise _refusal(response.status_code, value)


def wait_until_healthy(settings: Settings, seconds: float) -> dict[str, Any]:
    """The gateway's health, as soon as it has one.

    Raises:
        UnavailableError: it did not come up in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return GatewayClient(settings, timeout=5).health()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def address(settings: Settings) -> str:
    """Where the gateway listens: what it wrote down itself when its port was left open, else the configured one."""
    written = settings.layout.logs / "server.json"
    if settings.server.port == 0 and written.is_file():
        return str(read_json(written)["url"])
    return settings.server_url


def _refusal(status: int, value: Any) -> Exception:
    error = value.get("error", {}) if isinstance(value, dict) else {}
    message = str(error.get("message", f"HTTP {status}")) if isinstance(error, dict) else f"HTTP {status}"
    if status == 409:
        return EngineError(message, str(value.get("hint", "")))
    if status == 401:
        return ConfigurationError(message, "the gateway runs in another home; set NIGHTSCHOOL_HOME")
    if isinstance(error, dict) and error.get("type") == "overloaded_error":
        return OverloadedError(f"the gateway answered {status}: {message}", "try again in a moment")
    if status >= 500:
        return UnavailableError(f"the gateway answered {status}: {message}", "see logs/nightschool.log")
    if status in _ABOUT_THE_CHAT:
        return RefusedChatError(f"the gateway refused: {message}", status)
    return BadRecordError(f"the gateway refused: {message}")
