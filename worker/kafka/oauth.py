"""Tokens for SASL's OAUTHBEARER, by OAuth 2's client credentials; each client asks again before its token ends."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from worker.errors import NotLetIn, Unavailable
from worker.settings import ENV_PREFIX, Settings

TOKEN_SECONDS_MAX = 10.0
"""Longest wait for the token server, s."""
LIFETIME_SHARE = 0.8
"""A token is used for this share of its lifetime, as others do it."""
LIFETIME_SECONDS_DEFAULT = 300.0
"""Where the token server tells no lifetime, s."""
DETAIL_CHARACTERS_MAX = 200


class Tokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """The tokens of one client."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._token, self._use_until = "", 0.0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """aiokafka's question at each connection; it takes its own errors as the weather, others as bugs."""
        try:
            async with self._lock:
                if self._clock() >= self._use_until:
                    self._token, lifetime = await self.fetch()
                    self._use_until = self._clock() + lifetime * LIFETIME_SHARE
                return self._token
        except Unavailable as error:
            raise KafkaConnectionError(str(error)) from error

    async def fetch(self) -> tuple[str, float]:
        """A new token and its lifetime in seconds; raises NotLetIn if the token server refuses, and Unavailable."""
        settings, timeout = self._settings, aiohttp.ClientTimeout(total=TOKEN_SECONDS_MAX)
        form = {"grant_type": "client_credentials"}
        if settings.kafka_oauth_scope:
            form["scope"] = settings.kafka_oauth_scope
        url = str(settings.kafka_oauth_token_endpoint)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.post(url, data=form, headers=_credentials(settings), ssl=_trust(settings)) as answer,
            ):
                body = await _json(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"The token server {url}: {str(error) or type(error).__name__}") from error
        return self._read(url, answer.status, body)

    def _read(self, url: str, status: int, body: dict[str, object]) -> tuple[str, float]:
        token, lifetime = body.get("access_token"), body.get("expires_in")
        if status == 200 and isinstance(token, str) and token:
            return token, float(lifetime) if isinstance(lifetime, (int, float)) else LIFETIME_SECONDS_DEFAULT
        detail = str(body.get("error_description") or body.get("error") or "no token")[:DETAIL_CHARACTERS_MAX]
        text = f"The token server {url} answers {status}, {detail}"
        if status >= 500 or status == 429:
            raise Unavailable(text)
        raise NotLetIn(
            f"{text}: check {ENV_PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT, {ENV_PREFIX}KAFKA_OAUTH_CLIENT_ID, "
            f"{ENV_PREFIX}KAFKA_OAUTH_CLIENT_SECRET and {ENV_PREFIX}KAFKA_OAUTH_SCOPE"
        )


def _credentials(settings: Settings) -> dict[str, str]:
    """Id and secret as RFC 6749 has them: each form-encoded, and then as HTTP's Basic."""
    secret = settings.kafka_oauth_client_secret
    parts = (settings.kafka_oauth_client_id or "", secret.get_secret_value() if secret else "")
    joined = ":".join(quote_plus(part) for part in parts)
    return {"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    """The system's authorities, and Kafka's own."""
    if not settings.kafka_ssl_cafile:
        return True
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(settings.kafka_ssl_cafile)
    return trusted


async def _json(answer: aiohttp.ClientResponse) -> dict[str, object]:
    try:
        body = await answer.json(content_type=None)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
