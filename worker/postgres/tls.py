"""What the ssl… parameters ask of the driver, with their files looked at first, so that a wrong one is named."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlencode

from worker.errors import ConfigurationError
from worker.postgres.target import Host, Target
from worker.postgres.url import wrong

_PASSED_ON = (
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
_VERIFYING = ("verify-ca", "verify-full")


def mode(target: Target) -> str:
    """The sslmode in force."""
    from_system = target.parameters.get("sslrootcert") == "system"
    return target.parameters.get("sslmode", "verify-full" if from_system else "prefer")


def arguments(target: Target, host: Host) -> dict[str, object]:
    """For asyncpg.connect; raises ConfigurationError for a file that does not do."""
    if host.is_socket or mode(target) == "disable":
        return {"ssl": False}
    _look(target)
    if target.parameters.get("sslrootcert") == "system":
        context = ssl.create_default_context()
        _load_certificate(context, target)
        return {"ssl": context, "direct_tls": target.parameters.get("sslnegotiation") == "direct"}
    passed = {name: target.parameters[name] for name in _PASSED_ON if name in target.parameters}
    return {"dsn": "postgresql:///?" + urlencode(passed | {"sslmode": mode(target)})}


def _look(target: Target) -> None:
    named = {name: target.parameters[name] for name in _FILES if name in target.parameters}
    if named.get("sslrootcert") == "system":
        del named["sslrootcert"]
    for name, file in named.items():
        try:
            with Path(file).open("rb"):
                pass
        except OSError as error:
            raise wrong(f"{name}: {file} can't be read ({error.strerror})") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("sslrootcert", "sslcrl"):
        if name in named:
            try:
                context.load_verify_locations(cafile=named[name])
            except ssl.SSLError:
                raise wrong(f"{name}: {named[name]} holds nothing of that kind in PEM form") from None
    if mode(target) in _VERIFYING and "sslrootcert" not in target.parameters:
        default = target.home / ".postgresql" / "root.crt" if target.home else None
        if default is None or not default.exists():
            raise wrong(
                f"sslmode={mode(target)} needs the authority's certificate: name its PEM file as sslrootcert, or "
                "sslrootcert=system for those that the system trusts"
            )
    _load_certificate(context, target)


def _load_certificate(context: ssl.SSLContext, target: Target) -> None:
    certificate, key = target.parameters.get("sslcert"), target.parameters.get("sslkey")
    if certificate is None:
        return
    default = target.home / ".postgresql" / "postgresql.key" if target.home else None
    if key is None and default is not None and default.exists():
        key = str(default)
    word = target.parameters.get("sslpassword", "")
    try:
        context.load_cert_chain(certificate, key, password=lambda: word)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise wrong(f"sslkey: {key} is not the key of the certificate in {certificate}") from None
        raise wrong(
            f"sslcert, sslkey: {certificate} and {key or 'its key'} can't be used: they must be PEM files, and an "
            "encrypted key needs the right sslpassword"
        ) from None


def refused(error: OSError, target: Target, host: Host) -> ConfigurationError | None:
    """What a person must change, if it is that: the server's certificate, or that it offers no TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"PostgreSQL at {host}: its certificate is not accepted: {error.verify_message}. sslrootcert must name the "
            f"authority that signed it, and with sslmode=verify-full the certificate must be for {host.host}"
        )
    if "rejected SSL upgrade" in str(error):
        return ConfigurationError(
            f"PostgreSQL at {host}: offers no TLS, which sslmode={mode(target)} needs; switch it on there (ssl = on), "
            "or change sslmode"
        )
    return None
