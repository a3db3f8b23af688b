"""How clients prove who they are, and whom they trust: TLS and SASL, as aiokafka takes them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError
from worker.kafka.oauth import Tokens
from worker.settings import ENV_PREFIX, Settings

FILES = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")


def arguments(settings: Settings) -> dict[str, Any]:
    """For each of aiokafka's clients; raises ConfigurationError for files that are of no use."""
    protocol = settings.kafka_security_protocol
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        found["ssl_context"] = context(settings)
    if protocol.startswith("SASL"):
        found["sasl_mechanism"] = settings.kafka_sasl_mechanism
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            found["sasl_oauth_token_provider"] = Tokens(settings)
        elif settings.kafka_sasl_password is not None:
            found["sasl_plain_username"] = settings.kafka_sasl_username
            found["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return found


def context(settings: Settings) -> ssl.SSLContext:
    """Whom we trust and what we show; raises ConfigurationError with the variable of the file that is of no use."""
    for name in FILES:
        path = getattr(settings, name)
        if path:
            _require_readable(name, Path(path))
    try:
        made = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    except ssl.SSLError as error:
        raise _useless("kafka_ssl_cafile", settings.kafka_ssl_cafile, "holds no certificates in PEM form") from error
    if settings.kafka_ssl_certfile:
        _load_own(made, settings)
    return made


def _load_own(made: ssl.SSLContext, settings: Settings) -> None:
    """The client's certificate and key; a passphrase is never asked for at the terminal."""
    asked = False

    def passphrase() -> str:
        nonlocal asked
        asked = True
        return settings.kafka_ssl_key_password.get_secret_value() if settings.kafka_ssl_key_password else ""

    certificate, key = str(settings.kafka_ssl_certfile), settings.kafka_ssl_keyfile
    try:
        made.load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, ValueError) as error:
        name, path = ("kafka_ssl_keyfile", key) if key else ("kafka_ssl_certfile", certificate)
        if asked and settings.kafka_ssl_key_password:
            problem = f"{ENV_PREFIX}KAFKA_SSL_KEY_PASSWORD does not open the key"
        elif asked:
            problem = f"the key is encrypted: set {ENV_PREFIX}KAFKA_SSL_KEY_PASSWORD to its passphrase"
        elif "KEY_VALUES_MISMATCH" in str(error):
            problem = f"the key is not the one of the certificate {certificate}"
        else:
            problem = "certificate and key must be in PEM form, the certificate first in its own file"
        raise _useless(name, path, problem) from error


def _require_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise _useless(name, str(path), f"can't be read: {error.strerror}") from error


def _useless(name: str, path: str | None, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{ENV_PREFIX}{name.upper()}: {path}: {problem}")
