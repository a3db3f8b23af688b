"""/livez (the worker's own progress), /readyz (no partition waits for its position or a person), /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import REGISTRY, exposition

from worker.errors import ConfigurationError
from worker.observability.progress import Progress
from worker.settings import Settings


class Http:
    """A small server for probes and scrapers."""

    def __init__(self, settings: Settings, progress: Progress, unready: Callable[[], list[str]]) -> None:
        self._address, self._progress, self._unready = settings.http_address, progress, unready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; raises ConfigurationError where the address is not free."""
        if not self._address:
            return
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, _, port = self._address.rpartition(":")
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            await self.stop()
            raise ConfigurationError(
                f"SEGMENTATION_HTTP_ADDRESS: {self._address} can't be listened on ({error.strerror}); "
                "choose another, or leave it empty for none"
            ) from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        stuck = [f"{name}: no progress for {seconds:.0f} s" for name, seconds in self._progress.stuck().items()]
        return _answer(stuck)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._unready())

    async def _metrics(self, request: web.Request) -> web.Response:
        encoder, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(REGISTRY), headers={"Content-Type": content_type})


def _answer(problems: list[str]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")
