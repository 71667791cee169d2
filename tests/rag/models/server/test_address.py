"""Where an LLM server may be: what is written counts, not what a name server says."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.models.server.access import read_access
from rag.models.server.address import check_allowed, read_address
from rag.settings import Settings


@pytest.mark.parametrize(
    ("url", "named", "path"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
        ("http://localhost/v1/", "localhost:80", ""),
        ("https://LLM.Example.org./gate/v1", "llm.example.org:443", "/gate"),
        ("http://[::1]:11434", "[::1]:11434", ""),
        ("http://[2001:DB8:0::1]:80/", "[2001:db8::1]:80", ""),
        ("http://llm_server:8000", "llm_server:8000", ""),
    ],
)
def test_an_address_has_one_form(url: str, named: str, path: str) -> None:
    address = read_address(url)
    assert (address.named, address.path) == (named, path)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://127.0.0.1",
        "http://",
        "http:///v1",
        "http://a:0",
        "http://a:70000",
        "http://a:b",
        "http://a b",
        "http://a\nb",
        "http://a\\@b",
        "http://a?x=1",
        "http://a/#",
        "http://[::1",
        "http://[fe80::1%eth0]:80",
        "http://bücher.example",
        "http://a,b",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(ModelError, match="no address of a server"):
        read_address(url)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ModelError, match="name or password") as error:
        read_address("http://me:s3cret@127.0.0.1:8080")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1:1", "http://127.8.8.8", "https://[::1]:9"]
)
def test_this_machine_needs_no_entry(url: str) -> None:
    check_allowed(read_address(url), ())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1:8080",
        "http://2130706433:8080",
        "http://0x7f000001:8080",
        "http://0.0.0.0:8080",
        "http://[::]:8080",
        "http://[::ffff:127.0.0.1]:8080",
        "http://localhost.example.org:8080",
        "http://127.0.0.1.example.org",
        "http://169.254.169.254",
        "http://10.0.0.5:8000",
    ],
)
def test_whatever_is_not_listed_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def looked_up(*_: object) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(ModelError, match=r"not in llm\.allowed_hosts: nothing was sent"):
        read_access(Settings(llm_url=url, llm_allowed_hosts=("other.example.org:443",)))
    assert "refused" in caplog.text


def test_a_listed_address_is_allowed_with_its_port_alone() -> None:
    listed = ("LLM.example.org:8443", "[2001:db8::1]:8000")
    check_allowed(read_address("https://llm.example.org:8443/v1"), listed)
    check_allowed(read_address("http://[2001:db8:0::1]:8000"), listed)
    with pytest.raises(ModelError, match=r"llm\.example\.org:443"):
        check_allowed(read_address("https://llm.example.org"), listed)


@pytest.mark.parametrize(
    "entry", ["llm.example.org", "http://llm.example.org:80", "*:80", "a:b", "u@a:1", "a:1/x", " "]
)
def test_an_entry_that_is_no_host_and_port_is_told(entry: str) -> None:
    with pytest.raises(ModelError, match=r"llm\.allowed_hosts is no host:port"):
        check_allowed(read_address("http://a.example:1"), (entry,))


def test_the_key_comes_from_a_file_or_a_variable_and_is_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text("s3cret-of-file\n")
    here = "http://127.0.0.1:1"
    of_file = read_access(Settings(llm_url=here, llm_key_file=str(file)))
    variable = Settings(llm_url=here, llm_key_variable="LLM_KEY")
    of_variable = read_access(variable, {"LLM_KEY": "s3cret-of-variable"})
    assert (of_file.key, of_variable.key) == ("s3cret-of-file", "s3cret-of-variable")
    assert of_file.without_key("no s3cret-of-file here") == "no … here"
    assert "s3cret" not in repr(of_file) + repr(of_variable) + caplog.text
    assert "127.0.0.1:1" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"llm_key_file": "/nowhere/key"}, "cannot be read from llm.key_file"),
        ({"llm_key_variable": "UNSET"}, "UNSET .* holds no key"),
        ({"llm_key_variable": "CLOISTER_KEY"}, "another name"),
        ({"llm_key_variable": "TWO_LINES"}, "is no key"),
        ({"llm_key_variable": "A", "llm_key_file": "b"}, "both set"),
        ({"llm_ca_file": "/nowhere/ca.pem"}, "Use https"),
    ],
)
def test_a_key_that_cannot_be_had_is_told(given: dict[str, str], told: str) -> None:
    environ = {"TWO_LINES": "a\r\nX-Evil: b"}
    with pytest.raises(ModelError, match=told):
        read_access(Settings(llm_url="http://127.0.0.1:1", **given), environ)


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "none.pem"):
        settings = Settings(llm_url="https://127.0.0.1:1", llm_ca_file=str(tmp_path / name))
        with pytest.raises(ModelError, match=r"llm\.ca_file"):
            read_access(settings)
