"""Connection strings mean what libpq takes them for, and a wrong one is told in a line that shows nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import ConfigurationError
from worker.postgres import passfile, tls
from worker.postgres.target import Host, Target, target
from worker.postgres.url import parameters

BASE = {"HOME": "/nowhere", "PGUSER": "me"}


def of(text: str, **environment: str) -> Target:
    return target(text, BASE | environment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://", {}),
        ("postgres://h", {"host": "h"}),
        ("postgresql://h:5433/d", {"host": "h", "port": "5433", "dbname": "d"}),
        ("postgresql://u:p@h/d", {"user": "u", "password": "p", "host": "h", "dbname": "d"}),
        ("postgresql://u:p%40%2F%23%25@h/d", {"user": "u", "password": "p@/#%", "host": "h", "dbname": "d"}),
        ("postgresql://u:p#q?r@h/d", {"user": "u", "password": "p#q?r", "host": "h", "dbname": "d"}),
        ("postgresql://u:a+b@h", {"user": "u", "password": "a+b", "host": "h"}),
        ("postgresql://a:1,b,c:3/d", {"host": "a,b,c", "port": "1,,3", "dbname": "d"}),
        ("postgresql://[::1]:5433,[2001:db8::2]/d", {"host": "::1,2001:db8::2", "port": "5433,", "dbname": "d"}),
        ("postgresql://%2Frun%2Fpg:5433/d", {"host": "/run/pg", "port": "5433", "dbname": "d"}),
        ("postgresql:///d?host=/tmp&port=1", {"host": "/tmp", "port": "1", "dbname": "d"}),
        ("postgresql://h/d?ssl=true", {"host": "h", "dbname": "d", "sslmode": "require"}),
        (
            "postgresql://h?options=-c%20search_path%3Da+b&application_name=x",
            {"host": "h", "options": "-c search_path=a+b", "application_name": "x"},
        ),
        (
            r"host=h  port = 5433 password='it\'s \\ so' user=u",
            {"host": "h", "port": "5433", "password": r"it's \ so", "user": "u"},
        ),
    ],
)
def test_what_a_string_names(text: str, expected: dict[str, str]) -> None:
    assert parameters(text) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("postgresql://u:hunter2/x@h/d", "%2F"),
        ("postgresql://u:hunter2@x@h/d", "%40"),
        ("postgresql://u:12/hunter2@h/d", "%2F"),
        ("postgresql://u:hunter2%zz@h/d", "%25"),
        ("postgresql://u:hunter2%ff@h/d", "UTF-8"),
        ("postgresql://u:hunter2@h:port/d", "host:port"),
        ("postgresql://u:hunter2@[::1/d", "IPv6"),
        ("postgresql://u:hunter2@h:99999/d", "1 to 65535"),
        ("postgresql://u:hunter2@a,b,c/d?port=1,2", "3 hosts and 2 ports"),
        ("postgresql://u:hunter2@h/d?nonsense", "name=value"),
        ("postgresql://u:hunter2@h/d?search_path=x", "options=-c%20search_path"),
        ("postgresql://u:hunter2@h/d?sslmode=on", "verify-full"),
        ("postgresql://u:hunter2@h/d?target_session_attrs=master", "primary"),
        ("postgresql://u:hunter2@h/d?channel_binding=require", "driver"),
        ("postgresql://u:hunter2@h/d?connect_timeout=10s", "whole number"),
        ("postgresql://u:hunter2@h/d?sslmode=require&sslrootcert=system", "verify-full"),
        ("host=h password='hunter2", "single quotes"),
        ("mysql://u:hunter2@h/d", "postgresql://"),
    ],
)
def test_a_wrong_one_is_told_and_not_shown(text: str, part: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        of(text)
    assert str(raised.value).startswith("SEGMENTATION_DATABASE_URL: ")
    assert part in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_environment_fills_what_the_string_leaves_out() -> None:
    found = of("postgresql://h/", PGPORT="5433", PGDATABASE="d", PGSSLMODE="require", PGPASSWORD="p", PGHOST="other")
    assert (found.address, found.user) == ("h:5433/d", "me")
    assert (tls.mode(found), found.parameters["password"]) == ("require", "p")
    assert of("postgresql://h/").database == "me"


def test_a_service_comes_between_string_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("# all of ours\n[blue]\nhost=b1,b2\nport=5433\ndbname=x\nsslmode=require\n")
    environment = {"PGSERVICEFILE": str(file), "PGSSLMODE": "disable", "PGHOST": "other"}
    found = of("postgresql:///y?service=blue", **environment)
    assert (found.address, tls.mode(found)) == ("b1:5433,b2:5433/y", "require")
    assert of("postgresql://", PGSERVICE="blue", **environment).address == "b1:5433,b2:5433/x"
    with pytest.raises(ConfigurationError, match="'green' is in no service file"):
        of("postgresql:///?service=green", **environment)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("postgresql:///d?host=/tmp", "/tmp/.s.PGSQL.5432 (database d)"),
        ("postgresql://[::1]/d", "[::1]:5432/d"),
        ("postgresql://u:p@a:1,b:2/d?target_session_attrs=primary", "a:1,b:2/d"),
    ],
)
def test_the_address_is_the_real_one(text: str, address: str) -> None:
    assert of(text).address == address


def test_hosts_are_tried_at_random_if_that_is_wanted() -> None:
    text = "postgresql://" + ",".join(f"h{number}" for number in range(50)) + "/d"
    assert of(text).in_order() == list(of(text).hosts)
    shuffled = of(f"{text}?load_balance_hosts=random").in_order()
    assert shuffled != list(of(text).hosts)
    assert set(shuffled) == set(of(text).hosts)


def test_the_password_file(tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("# mine\nother:*:*:*:no\nh:5433:d:me:first\n*:*:d:me:a\\:b\\\\c\nlocalhost:*:*:*:by socket\n")
    file.chmod(0o600)
    found = of("postgresql:///d", PGPASSFILE=str(file))
    assert passfile.password(found, Host("h", 5433)) == ("first", "")
    assert passfile.password(found, Host("x", 1)) == ("a:b\\c", "")
    assert passfile.password(of("postgresql:///e", PGPASSFILE=str(file)), Host("/tmp", 1)) == ("by socket", "")
    assert passfile.password(of("postgresql://u:p@h/d", PGPASSFILE=str(file)), Host("h", 5433)) == ("p", "")


def test_a_password_file_that_others_may_read_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("*:*:*:*:secret\n")
    file.chmod(0o644)
    word, why = passfile.password(of(f"postgresql:///d?passfile={file}"), Host("h", 1))
    assert word == ""
    assert f"chmod 600 {file}" in why
    assert "secret" not in why


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("sslmode=verify-full", "sslrootcert=system"),
        ("sslmode=require&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem can't be read"),
        ("sslmode=verify-ca&sslrootcert={file}", "PEM"),
        ("sslcert={file}&sslkey={file}", "sslpassword"),
    ],
)
def test_files_of_tls_are_looked_at(query: str, part: str, tmp_path: Path) -> None:
    file = tmp_path / "no.pem"
    file.write_text("nothing of that kind")
    with pytest.raises(ConfigurationError, match=part):
        tls.arguments(of(f"postgresql://h/d?{query.format(file=file)}"), Host("h", 1))


def test_a_socket_has_no_tls() -> None:
    assert tls.arguments(of("postgresql:///d?host=/tmp&sslmode=require"), Host("/tmp", 1)) == {"ssl": False}
