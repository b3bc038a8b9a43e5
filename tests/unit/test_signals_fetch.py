"""Downloads against a server on this machine that keeps ranges, breaks off, lies and is away."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import sys
import threading
from pathlib import Path

import pytest

from nociband.errors import DataError
from nociband.signals import datasets, registry

pytest.importorskip("pooch")

NAME = "shock_trials"
CHUNK = 1 << 13
BIG = bytes(range(256)) * 2000     # 62.5 chunks
FILES = {"SCR.csv": BIG, "Ratings.csv": b"rated\n"}


class Server(http.server.ThreadingHTTPServer):
    """`files` by path; the next answers end after `break_after` bytes each; `asked` keeps path and Range of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = dict(FILES)
        self.break_after: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.asked.append((name, wanted))
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        limit = self.server.break_after.pop(0) if self.server.break_after else len(content)
        self.wfile.write(content[begin:begin + limit])
        self.close_connection = True


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(datasets, "describe", lambda _: {"base_url": "http://127.0.0.1:9/", "repository": "https://example.org",
                                                         "sha256": sums, "bytes": sum(map(len, FILES.values()))})
    monkeypatch.setattr("time.sleep", lambda _: None)  # pooch waits between its tries
    with Server() as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_everything_comes_once_and_progress_is_told(server):
    told: list[tuple[str, int, int | None]] = []
    folder = datasets.download(NAME, server.url, progress=lambda *a: told.append(a))
    assert folder == datasets.cache_folder() / registry.find(NAME).folder
    assert content(folder) == FILES            # and nothing else: what waited for the rest is gone
    assert [a for a in told if a[0] == "SCR.csv"][-1] == ("SCR.csv", len(BIG), len(BIG))
    assert [r for _, r in server.asked] == [None, None]
    assert datasets.verify(NAME) == []
    datasets.download(NAME, server.url)
    assert len(server.asked) == 2, "what is there is not fetched again"


def test_a_broken_transfer_goes_on_where_it_stopped(server):
    server.break_after = [20 * CHUNK, 10 * CHUNK]
    assert content(datasets.download(NAME, server.url)) == FILES
    assert server.asked[:3] == [("SCR.csv", None), ("SCR.csv", f"bytes={20 * CHUNK}-"), ("SCR.csv", f"bytes={30 * CHUNK}-")]


def test_a_transfer_goes_on_in_the_next_run(server):
    server.break_after = [10 * CHUNK] * 3      # as often as pooch tries
    with pytest.raises(DataError, match="SCR.csv: could not be fetched .*goes on where it stopped"):
        datasets.download(NAME, server.url)
    assert not datasets.available(NAME), "a part of a file is no data set"
    server.asked.clear()
    assert content(datasets.download(NAME, server.url)) == FILES
    assert server.asked[0] == ("SCR.csv", f"bytes={30 * CHUNK}-")


def test_a_server_without_ranges_sends_all_of_it_again(server):
    server.ranges, server.break_after = False, [20 * CHUNK]
    assert content(datasets.download(NAME, server.url)) == FILES


def test_another_files_part_does_no_harm(server):
    server.files["SCR.csv"] = bytes(len(BIG))  # what came first was not the file
    server.break_after = [10 * CHUNK] * 3
    with pytest.raises(DataError):
        datasets.download(NAME, server.url)
    server.files["SCR.csv"] = BIG
    assert content(datasets.download(NAME, server.url)) == FILES, "the checksum tells, and it is fetched from its beginning"
    assert server.asked[-2] == ("SCR.csv", None)


def test_a_part_longer_than_the_file(server):
    server.files["SCR.csv"] = BIG * 2
    server.break_after = [30 * CHUNK] * 3
    with pytest.raises(DataError):
        datasets.download(NAME, server.url)
    server.files["SCR.csv"] = BIG
    assert content(datasets.download(NAME, server.url)) == FILES


def test_a_wrong_checksum(server):
    server.files["Ratings.csv"] = b"rated otherwise\n"
    with pytest.raises(DataError, match="Ratings.csv: what came from .* is not the file with the known checksum; it was not"):
        datasets.download(NAME, server.url)
    assert not (datasets.cache_folder() / "oxazepam_shock_trials" / "Ratings.csv").exists()


def test_a_file_that_the_server_does_not_have(server):
    del server.files["Ratings.csv"]
    with pytest.raises(DataError, match="Ratings.csv: could not be fetched .*404"):
        datasets.download(NAME, server.url)


def test_no_network(server):
    with socket.socket() as taken:             # bound but not listening: a connection is refused
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match="SCR.csv: could not be fetched .*refused.*Check the network"):
            datasets.download(NAME, f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_a_file_without_a_known_checksum_is_fetched(server, monkeypatch):
    about = {"base_url": server.url, "repository": "", "sha256": {"SCR.csv": None}}
    monkeypatch.setattr(datasets, "describe", lambda _: about)
    assert content(datasets.download(NAME)) == {"SCR.csv": BIG}
    assert datasets.verify(NAME) == []


def test_into_a_folder_that_is_named(server, tmp_path):
    assert datasets.download(NAME, server.url, into=tmp_path / "mine") == tmp_path / "mine" / "oxazepam_shock_trials"
    assert datasets.locate(NAME, tmp_path / "mine").name == "oxazepam_shock_trials"


def test_the_command_fetches_and_says_where(server, tmp_path, monkeypatch, capsys):
    from nociband_tools import cli

    about = datasets.describe(NAME)
    monkeypatch.setattr(datasets, "describe", lambda _: {**about, "base_url": server.url})
    monkeypatch.setattr(sys, "argv", ["nociband", "data", "get", NAME, "--data", str(tmp_path / "mine")])
    server.break_after = [10 * CHUNK]
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    assert not stop.value.code and f"2 files, 0.5 MB, in {tmp_path / 'mine' / 'oxazepam_shock_trials'}" in said.out
    assert "Ratings.csv" in said.err, "the bar is not part of what a pipe gets"
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert json.loads(said.out)["findings"] == [] and said.err == ""


def test_verify_names_what_is_missing_and_what_differs(server):
    folder = datasets.download(NAME, server.url)
    (folder / "SCR.csv").write_bytes(BIG[:-1])
    (folder / "Ratings.csv").unlink()
    missing, differs = sorted(datasets.verify(NAME), key=lambda f: f.path.name)
    assert missing.path == folder / "Ratings.csv" and "no such file" in missing.what
    assert differs.path == folder / "SCR.csv" and "not the published file" in differs.what
