"""A setting that names a file or a folder: what is no such name is refused, and nothing of it is repeated."""

from __future__ import annotations

import base64
import json

import pytest

from worker.errors import ConfigurationError
from worker.settings import ENV_PREFIX, Settings, load

KEY = {"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"}
PEM = KEY["private_key"]
SECRET_PART = "c2VjcmV0"
PATHS = ("GOOGLE_CREDENTIALS_FILE", "KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE")
CONTENTS = [
    json.dumps(KEY),
    json.dumps(KEY, indent=2),
    "\ufeff" + json.dumps(KEY),
    base64.b64encode(json.dumps(KEY).encode()).decode(),
    PEM,
    PEM.replace("\n", "\\n"),
    base64.b64encode(PEM.encode()).decode(),
    "x" * 300,
]
FOLDERS = {
    "drive:1AbC_d-e": "drive:1AbC_d-e",
    "drive:1AbC?usp=sharing": "drive:1AbC",
    "drive:https://drive.google.com/drive/folders/1AbC?usp=sharing": "drive:1AbC",
    "https://drive.google.com/drive/u/0/folders/1AbC": "drive:1AbC",
    "drive:drive.google.com/drive/folders/1AbC/": "drive:1AbC",
    "drive:https://drive.google.com/open?id=1AbC": "drive:1AbC",
    "directory:a folder/of: mine": "directory:a folder/of: mine",
}
NO_FOLDERS = [
    "drive:",
    "reports",
    "drive:https://drive.google.com/drive/my-drive",
    "drive:https://drive.google.com/file/d/1AbC/view",
    "drive:https://example.com/drive/folders",
    *(f"{kind}:{content}" for kind in ("drive", "directory") for content in CONTENTS),
]


def _refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(ENV_PREFIX + name, value)
    with pytest.raises(ConfigurationError) as raised:
        load()
    said = str(raised.value)
    assert said.startswith(f"{ENV_PREFIX}{name}: ")
    assert SECRET_PART not in said
    return said


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
@pytest.mark.parametrize("name", PATHS)
def test_a_keys_content_in_place_of_its_path(monkeypatch: pytest.MonkeyPatch, name: str, content: str) -> None:
    assert "must be the path of a file" in _refusal(monkeypatch, name, content)


@pytest.mark.parametrize("value", ["/run/secrets/key.json", "keys/of [some] app.json", "~/k", "C:\\keys\\k.json"])
def test_a_path_is_a_path(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEGMENTATION_GOOGLE_CREDENTIALS_FILE", value)
    assert load().google_credentials_file == value


@pytest.mark.parametrize("value", FOLDERS)
def test_a_folder_by_its_id_or_its_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEGMENTATION_GOOGLE_CREDENTIALS_FILE", "key.json")
    monkeypatch.setenv("SEGMENTATION_REPORT_STORAGE", value)
    assert load().report_storage == FOLDERS[value]


@pytest.mark.parametrize("value", NO_FOLDERS, ids=range(len(NO_FOLDERS)))
def test_what_is_no_folder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEGMENTATION_GOOGLE_CREDENTIALS_FILE", "key.json")
    _refusal(monkeypatch, "REPORT_STORAGE", value)


@pytest.mark.parametrize("value", ["ada", json.dumps(KEY), "ada@", "a b@example.com"])
def test_a_subject_is_a_user(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    _refusal(monkeypatch, "GOOGLE_SUBJECT", value)


@pytest.mark.parametrize("value", ["http://", "example.com", "http://h:port", "http://h:70000", "https://a b"])
def test_an_endpoint_is_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    _refusal(monkeypatch, "GOOGLE_API_ENDPOINT", value)
