"""Who signs in: service accounts with signed grants, users with refresh tokens."""

from __future__ import annotations

import base64
import json
import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.drive.errors import ApiError
from tests.support.drive.world import Account, World

SCOPE = "https://www.googleapis.com/auth/drive"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SERVICE = "worker@project.iam.gserviceaccount.com"
USER = "ada@example.com"
DELEGATE = "reports@example.com"


@cache
def key() -> rsa.RSAPrivateKey:
    """The service account's; made once, as that takes a moment."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Tokens:
    """The token endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.live: dict[str, Account] = {}
        self.refresh_token, self.client_secret = f"1//{secrets.token_hex(8)}", secrets.token_hex(8)
        self.is_consent_over = False
        """Whether grants are refused from now on."""
        self.delegates: set[str] = set()
        """For whom the service account may act."""

    def service_account_file(self, folder: Path, endpoint: str) -> Path:
        """Credentials in Google's form."""
        pem = key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": SERVICE,
            "client_id": "1",
            "token_uri": f"{endpoint}/token",
        }
        path = folder / "service-account.json"
        path.write_text(json.dumps(info), encoding="utf-8")
        return path

    def user_file(self, folder: Path, endpoint: str) -> Path:
        """What an authorised user's looks like."""
        info = {
            "type": "authorized_user",
            "client_id": "client",
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "token_uri": f"{endpoint}/token",
        }
        path = folder / "user.json"
        path.write_text(json.dumps(info), encoding="utf-8")
        return path

    def grant(self, form: dict[str, str], endpoint: str) -> tuple[int, dict[str, Any]]:
        """The answer to a request for an access token."""
        match form.get("grant_type"):
            case _ if self.is_consent_over:
                return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
            case grant if grant == JWT_GRANT:
                refusal, email = self._signed(form["assertion"], endpoint)
            case "refresh_token":
                refusal, email = self._refreshed(form), USER
            case _:
                refusal, email = ("unsupported_grant_type", "Invalid grant_type"), ""
        if refusal:
            return (401 if refusal[0] == "unauthorized_client" else 400), {
                "error": refusal[0],
                "error_description": refusal[1],
            }
        token = f"ya29.{secrets.token_hex(8)}"
        self.live[token] = self._world.accounts[email]
        return 200, {"access_token": token, "expires_in": 3599, "scope": SCOPE, "token_type": "Bearer"}

    def account(self, authorization: str | None) -> Account:
        """Whose token it is."""
        token = (authorization or "").removeprefix("Bearer ")
        if not authorization or token not in self.live:
            raise ApiError(401, "authError", "Invalid Credentials", location="Authorization", locationType="header")
        return self.live[token]

    def _signed(self, assertion: str, endpoint: str) -> tuple[tuple[str, str] | None, str]:
        head, body, signature = assertion.split(".")
        claims = json.loads(_decoded(body))
        subject = claims.get("sub", SERVICE)
        wrong: tuple[str, str] | None = None
        if not _is_signed(f"{head}.{body}", signature) or json.loads(_decoded(head))["alg"] != "RS256":
            wrong = "invalid_grant", "Invalid JWT Signature."
        elif claims["iss"] != SERVICE:
            wrong = "invalid_grant", "Invalid grant: account not found"
        elif claims["aud"] not in (f"{endpoint}/token", "https://oauth2.googleapis.com/token"):
            wrong = "invalid_grant", "Invalid JWT: Failed audience check."
        elif not claims["iat"] - 300 <= time.time() <= claims["exp"] <= claims["iat"] + 3600:
            wrong = "invalid_grant", "Invalid JWT: Token must be a short-lived token"
        elif claims.get("scope") != SCOPE:
            wrong = "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        elif subject not in (*self.delegates, SERVICE):
            wrong = "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method."
        return wrong, subject

    def _refreshed(self, form: dict[str, str]) -> tuple[str, str] | None:
        if form.get("client_id") != "client" or form.get("client_secret") != self.client_secret:
            return "invalid_client", "The OAuth client was not found."
        if form.get("refresh_token") != self.refresh_token:
            return "invalid_grant", "Bad Request"
        return None if form.get("scope", SCOPE) == SCOPE else ("invalid_scope", "Bad Request")


def _is_signed(text: str, signature: str) -> bool:
    try:
        key().public_key().verify(_decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
