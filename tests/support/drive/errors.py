"""Refusals in Google's form."""

from __future__ import annotations

import json


class ApiError(Exception):
    """What the server answers in place of a result."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "global", **others: str) -> None:
        super().__init__(message)
        self.status = status
        self._item = {"domain": domain, "reason": reason, "message": message} | others

    def body(self) -> bytes:
        """The JSON that Drive answers with."""
        error = {"code": self.status, "message": self._item["message"], "errors": [self._item]}
        return json.dumps({"error": error}).encode()


def bad_request(message: str, *, parameter: str | None = None) -> ApiError:
    """For what Drive can't make sense of."""
    where = {"location": parameter, "locationType": "parameter"} if parameter else {}
    return ApiError(400, "invalidParameter" if parameter else "badRequest", message, **where)


def not_found(file_id: str) -> ApiError:
    """Also for what the account must not know of."""
    return ApiError(404, "notFound", f"File not found: {file_id}.", location="fileId", locationType="parameter")


def no_permission() -> ApiError:
    """The account sees the file, but may not do this to it."""
    message = "The user does not have sufficient permissions for this file."
    return ApiError(403, "insufficientFilePermissions", message)
