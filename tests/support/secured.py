"""A broker with a listener for each way to connect, and the StandardAuthorizer; who comes in plainly is its master."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.certificates import Authority, authority
from worker.local.guarded import Guarded, guarded
from worker.local.kafka import Kafka, fetch
from worker.local.server import free_port
from worker.local.services import java

USER, PASSWORD = "ada", "open sesame"
PRINCIPALS = ("worker", "operator", "producer", "subscriber")
"""Who come in by SASL's PLAIN, too, with the same password; none of them has any right at first."""
LISTENERS = {
    "TLS": "SSL",
    "MTLS": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "SASLTLS": "SASL_SSL",
    "OAUTH": "SASL_PLAINTEXT",
    "ELSEWHERE": "PLAINTEXT",
}
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
MODULES = "org.apache.kafka.common.security"


class Secured(Kafka):
    """The listener ELSEWHERE names the broker by an address where nothing listens."""

    format_options = tuple(f"--add-scram=SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512))

    def __init__(self, guard: Guarded, folder: Path, class_path: str, signer: Authority) -> None:
        directory = folder / "kafka"
        directory.mkdir()
        super().__init__(guard, directory, class_path, java(), kept=False, for_load=False, heap_mib=384)
        self.ports = {name: free_port() for name in LISTENERS}
        self.signer, self.nowhere = signer, free_port()
        certificate, key = signer.issue("broker", "localhost")
        self._store = folder / "broker.store.pem"
        self._store.write_bytes(key.read_bytes() + certificate.read_bytes())

    def servers(self, listener: str) -> str:
        """For clients."""
        return f"localhost:{self.ports[listener]}"

    def properties(self) -> str:
        """Those of every embedded broker, and the listeners'."""
        names = [f"{name}://localhost:{port}" for name, port in self.ports.items()]
        advertised = [name for name in names if "ELSEWHERE" not in name] + [f"ELSEWHERE://localhost:{self.nowhere}"]
        protocols = [f"{name}:{protocol}" for name, protocol in LISTENERS.items()]
        ours = super().properties()
        properties = dict(line.split("=", 1) for line in ours.splitlines())
        properties |= {
            "listeners": ",".join([properties["listeners"], *names]),
            "advertised.listeners": ",".join([properties["advertised.listeners"], *advertised]),
            "listener.security.protocol.map": ",".join(["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *protocols]),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.signer.cafile),
            "listener.name.mtls.ssl.client.auth": "required",
        }
        return "".join(f"{name}={value}\n" for name, value in (properties | _sasl()).items())


def _sasl() -> dict[str, str]:
    found: dict[str, str] = {}
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in (USER, *PRINCIPALS))
    plain = f"{MODULES}.plain.PlainLoginModule required {users};"
    scram = f"{MODULES}.scram.ScramLoginModule required;"
    for listener in ("sasl", "sasltls"):
        name = f"listener.name.{listener}"
        found |= {
            f"{name}.sasl.enabled.mechanisms": MECHANISMS,
            f"{name}.plain.sasl.jaas.config": plain,
            f"{name}.scram-sha-256.sasl.jaas.config": scram,
            f"{name}.scram-sha-512.sasl.jaas.config": scram,
        }
    return found | {
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config": f"{MODULES}.oauthbearer.OAuthBearerLoginModule required;",
    }


@contextlib.asynccontextmanager
async def secured() -> AsyncIterator[Secured]:
    """Started, and ended with the context."""
    folder = Path(tempfile.mkdtemp(prefix="segmentation-test-"))
    try:
        async with guarded() as guard:
            guard.remove_at_end(folder)
            class_path = await fetch(guard, lambda _: None)
            broker = Secured(guard, folder, class_path, authority(folder / "authority"))
            await broker.launch()
            yield broker
    finally:
        shutil.rmtree(folder, ignore_errors=True)
