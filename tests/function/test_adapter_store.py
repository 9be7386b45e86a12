"""The writer's ConfigMaps, when the API server does not answer as it should."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from adapterworld import NAMES, OWNER, client_of, stored

import configmaps
from configmaps import Server
from function.adapter import store
from function.api import output
from function.api.output import Output


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with configmaps.serving(folder) as made:
        yield made


@pytest.fixture
def client(server: Server) -> store.Client:
    return client_of(server)


# --- when the API server does not answer as it should

SMALL = Output({"a": b"1"})


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504])
def test_what_can_pass_is_tried_again(server: Server, client: store.Client, status: int) -> None:
    """A Role that is made together with its Job may come a moment after its pod."""
    server.failures = [status, status]
    store.replace(client, OWNER, SMALL)
    assert stored(server) == SMALL
    assert server.asked[:3] == [("DELETE", NAMES[1])] * 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_cannot_pass_is_said_at_once(server: Server, client: store.Client, status: int) -> None:
    server.failures = [status]
    with pytest.raises(store.StoreError) as raised:
        store.replace(client, OWNER, SMALL)
    path = f"/api/v1/namespaces/team-a/configmaps/{NAMES[1]}"
    assert str(raised.value) == f"DELETE {path}: the API server said {status}: configmaps: answer {status}"
    assert len(server.asked) == 1


def test_patience_ends(server: Server, client: store.Client) -> None:
    server.failures = [503] * 100
    with pytest.raises(store.StoreError, match="the API server said 503: configmaps: answer 503"):
        store.replace(client, OWNER, SMALL)
    assert 5 < len(server.asked) < 30


def test_another_pod_of_the_run_may_be_faster(server: Server, client: store.Client) -> None:
    """Between "there is none" and making it, one was made."""
    [made] = output.config_maps(OWNER, Output({"b": b"2"}))
    answers = {"PUT": [404], "POST": [409]}

    def send(self: store.Client, method: str, path: str, body: object, *expected: int) -> int:
        if answers.get(method):
            server.objects[NAMES[0]] = made
            return answers[method].pop()
        return real(self, method, path, body, *expected)  # type: ignore[arg-type]

    real = store.Client.send
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.Client, "send", send)
        store.replace(client, OWNER, SMALL)
    assert stored(server) == SMALL


def test_no_answer_is_a_sentence_too(client: store.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(store.StoreError, match=rf"no answer from the API server at 127\.0\.0\.1:{port}: "):
        store.replace(replace(client, port=port), OWNER, SMALL)


def test_an_answer_that_is_no_json_is_shown_in_part(client: store.Client) -> None:
    assert store._message(b"<html>" + b"x" * 1000) == "<html>" + "x" * 294
    assert store._message(b"[]") == "nothing"


def test_a_server_that_is_not_the_clusters_gets_no_token(server: Server, client: store.Client, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "token").write_text(configmaps.TOKEN)
    (other / "ca.crt").write_bytes(configmaps.certificates.authority("another").certificate)
    with pytest.raises(store.StoreError, match="certificate verify failed"):
        store.replace(replace(client, account=other), OWNER, SMALL)
    assert server.asked == []
