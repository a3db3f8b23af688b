"""OAUTHBEARER: a token server hands out tokens for client credentials, and the broker lets their owner in."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import make_settings
from tests.support.secured import Secured
from worker.errors import NotLetIn, Unavailable
from worker.kafka import clients as kafka
from worker.kafka.oauth import Tokens
from worker.local.server import HOST, free_port
from worker.settings import Settings

CLIENT, SECRET = "segmentation", "s&cret:/"


class TokenServer:
    """Hands out tokens that nobody has signed, which a broker takes unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: tuple[int, Any] | None = None
        self.lifetime: float = 60
        self.subject = "ada"

    async def handle(self, request: web.Request) -> web.Response:
        """The token endpoint."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.answer is not None:
            return web.json_response(self.answer[1], status=self.answer[0])
        given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        if given != f"{CLIENT}:s%26cret%3A%2F" or form["grant_type"] != "client_credentials":
            return web.json_response({"error": "invalid_client"}, status=401)
        token = self.token()
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": self.lifetime})

    def token(self) -> str:
        """An unsigned JWT."""
        now = time.time()
        parts = ({"alg": "none"}, {"sub": self.subject, "iat": now, "exp": now + self.lifetime, "scope": "kafka"})
        return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


@pytest.fixture
async def tokens() -> AsyncIterator[tuple[TokenServer, str]]:
    """A server, and its URL."""
    server, app = TokenServer(), web.Application()
    app.router.add_post("/token", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, HOST, port).start()
    yield server, f"http://{HOST}:{port}/token"
    await runner.cleanup()


def _settings(broker: Secured, url: str, **others: Any) -> Settings:
    values: dict[str, Any] = {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_mechanism": "OAUTHBEARER",
        "kafka_oauth_token_endpoint": url,
        "kafka_oauth_client_id": CLIENT,
        "kafka_oauth_client_secret": SECRET,
        "kafka_seconds_max": 5,
    }
    return make_settings(broker.servers("OAUTH"), "postgresql://localhost/none", **values | others)


async def _talk(settings: Settings) -> None:
    async with kafka.admin(settings) as client:
        await client.describe_cluster()


async def test_a_token_lets_us_in(broker: Secured, tokens: tuple[TokenServer, str]) -> None:
    server, url = tokens
    await _talk(_settings(broker, url, kafka_oauth_scope="kafka other"))
    assert server.asked[0] == {"grant_type": "client_credentials", "scope": "kafka other"}
    assert len(server.asked) == 1, "one token for all of a client's connections"


async def test_it_is_asked_for_again_before_it_ends(broker: Secured, tokens: tuple[TokenServer, str]) -> None:
    server, url = tokens
    now = 0.0
    client = Tokens(_settings(broker, url), clock=lambda: now)
    first = await client.token()
    now = 47.0
    assert await client.token() == first
    now = 48.0
    await asyncio.gather(*(client.token() for _ in range(5)))
    assert len(server.asked) == 2


async def test_refusals_are_told(broker: Secured, tokens: tuple[TokenServer, str]) -> None:
    server, url = tokens
    with pytest.raises(NotLetIn, match=r"answers 401, invalid_client: check .*_OAUTH_CLIENT_ID.* and"):
        await _talk(_settings(broker, url, kafka_oauth_client_secret="wrong"))
    server.answer = (200, ["no object"])
    with pytest.raises(NotLetIn, match="answers 200, no token"):
        await _talk(_settings(broker, url))
    server.answer = (503, {"error": "temporarily_unavailable"})
    with pytest.raises(Unavailable, match="answers 503, temporarily_unavailable") as raised:
        await _talk(_settings(broker, url))
    assert not isinstance(raised.value, NotLetIn)
    server.answer, server.subject = (200, {"access_token": "no.jwt."}), ""
    with pytest.raises(NotLetIn, match="does not accept the token of SEGMENTATION_KAFKA_OAUTH_TOKEN_ENDPOINT"):
        await _talk(_settings(broker, url))


async def test_the_token_server_is_away(broker: Secured) -> None:
    """It may come: a worker waits for it."""
    with pytest.raises(Unavailable, match=r"The token server http://127.0.0.1:\d+/token: ") as raised:
        await _talk(_settings(broker, f"http://{HOST}:{free_port()}/token"))
    assert not isinstance(raised.value, NotLetIn)
