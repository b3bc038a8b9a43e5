"""The FMOV loader on sound and on damaged files; where data sets are looked for; downloading with checksums."""

import gzip
import hashlib
import http.server
import json
import os
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import datasets, fmov

SECONDS = 150


def table(seconds: float = SECONDS) -> np.ndarray:
    """A made recording in the data set's own columns: onsets every 10 s in turn."""
    n = int(seconds * 100)
    rows = np.zeros((n, 8))
    rows[:, 0], rows[:, 3], rows[:, 4] = 5.25, 2e-4, 1e-4
    for k in range(12):
        at = (25 + 10 * k) * 100
        rows[at - 10:at, 5 + k % 3] = 5
    return rows


def text(rows: np.ndarray) -> bytes:
    return "".join("\t".join(f"{v:g}" for v in row) + "\t\n" for row in rows).encode()


def write(folder: Path, content: bytes, name: str = "10_FMOV_preprocessed.txt.gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.fixture(scope="module")
def sound() -> bytes:
    return text(table())


@pytest.mark.parametrize("name", ["10_FMOV_preprocessed.txt", "10_FMOV_preprocessed.txt.gz"])
def test_a_sound_file(tmp_path, sound, name):
    recording = fmov.load_file(write(tmp_path, sound, name))
    assert recording.subject == "10" and recording.simulated == ()
    assert recording.duration_s == SECONDS
    assert [e.label for e in recording.events[:4]] == ["angry", "happy", "neutral", "angry"]
    assert [e.t_s for e in recording.events] == [25.0 + 10 * k for k in range(12)]
    assert recording.channel("eda").unit == "uS" and recording.channel("eda").samples[0] == 5.25
    assert recording.channel("zygomaticus").samples[7] == 2e-4 and recording.channel("corrugator").samples[7] == 1e-4
    assert recording.channel("corrugator").unit == "mV" and recording.channel("corrugator").kind == "rectified_mean"


def test_a_truncated_gzip_file(tmp_path, sound):
    path = write(tmp_path, sound)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="gzip file is truncated"):
        fmov.load_file(path)


def test_a_file_that_is_not_gzip(tmp_path):
    path = write(tmp_path, b"")
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(DataError, match="not a sound gzip file"):
        fmov.load_file(path)


def test_a_damaged_gzip_file(tmp_path, sound):
    path = write(tmp_path, sound)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="10_FMOV_preprocessed"):
        fmov.load_file(path)


def test_an_empty_file(tmp_path):
    with pytest.raises(DataError, match="the file is empty"):
        fmov.load_file(write(tmp_path, b"\n"))


def test_a_missing_column_names_the_line(tmp_path, sound):
    lines = sound.split(b"\n")
    lines[41] = b"\t".join(lines[41].split()[:7])
    with pytest.raises(DataError, match="line 42: 7 columns where 8 belong"):
        fmov.load_file(write(tmp_path, b"\n".join(lines)))


def test_a_column_missing_throughout(tmp_path):
    with pytest.raises(DataError, match="line 1: 7 columns where 8 belong"):
        fmov.load_file(write(tmp_path, text(table()[:, :7])))


@pytest.mark.parametrize(("value", "message"), [(b"NaN", "line 3: column 1 is nan"), (b"inf", "line 3: column 1 is inf"),
                                                (b"x5", "line 3: column 1 is not a number")])
def test_what_is_not_a_number_names_the_line(tmp_path, sound, value, message):
    lines = sound.split(b"\n")
    lines[2] = b"\t".join([value, *lines[2].split()[1:]])
    with pytest.raises(DataError, match=message):
        fmov.load_file(write(tmp_path, b"\n".join(lines)))


def test_a_file_cut_at_a_line_is_too_short_or_lacks_onsets(tmp_path):
    with pytest.raises(DataError, match="30.0 s of data where 60 s or more belong"):
        fmov.load_file(write(tmp_path, text(table()[:3000])))
    with pytest.raises(DataError, match="2 onsets of 'angry' where 4 belong"):
        fmov.load_file(write(tmp_path, text(table()[:8000])))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        fmov.load_file(tmp_path / "10_FMOV_preprocessed.txt.gz")


def test_where_data_is_looked_for(tmp_path, sound, monkeypatch):
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    with pytest.raises(DataError, match="nociband data get fmov"):
        fmov.load()
    write(tmp_path / "cache" / "oxazepam_fmov" / "FMOV", sound, "11_FMOV_preprocessed.txt")
    assert list(fmov.files()) == ["11"]
    write(tmp_path / "env" / "oxazepam_fmov" / "FMOV", sound)
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / "env"))
    assert list(fmov.files()) == ["10"]
    assert list(fmov.files(tmp_path / "env" / "oxazepam_fmov")) == ["10"]
    assert list(fmov.files(tmp_path / "env" / "oxazepam_fmov" / "FMOV")) == ["10"]


def test_a_named_place_without_data_is_an_error_not_a_fallback(tmp_path, sound, monkeypatch):
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "oxazepam_fmov" / "FMOV", sound)
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="NOCIBAND_DATA .* does not exist"):
        fmov.load()
    assert not datasets.available("oxazepam_fmov")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folder given .* holds no oxazepam_fmov/FMOV"):
        fmov.load(tmp_path / "empty")


def test_an_unknown_subject_names_those_there(tmp_path, sound):
    write(tmp_path, sound)
    assert fmov.load_subject(10, tmp_path).subject == "10"
    with pytest.raises(DataError, match="no subject '77' here; there are 10"):
        fmov.load_subject("77", tmp_path)


@pytest.fixture
def server(tmp_path):
    """An HTTP server on tmp_path/www."""
    (tmp_path / "www").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www"))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def test_downloads_are_checked(tmp_path, sound, monkeypatch, server):
    pytest.importorskip("pooch")
    name = "10_FMOV_preprocessed.txt"
    about = {"folder": "FMOV", "base_url": server, "repository": "https://example.org",
             "sha256": {name: hashlib.sha256(sound).hexdigest()}}
    monkeypatch.setattr(datasets, "describe", lambda _: about)
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # pooch waits between its tries
    with pytest.raises(DataError, match="could not be fetched"):
        datasets.download("oxazepam_fmov")
    write(tmp_path / "www", sound + b"x", name)
    with pytest.raises(DataError, match="not the file with the known checksum"):
        datasets.download("oxazepam_fmov")
    assert not datasets.available("oxazepam_fmov")
    write(tmp_path / "www", sound, name)
    datasets.download("oxazepam_fmov")
    assert fmov.load()[0].subject == "10"


def test_the_registry_is_pinned():
    about = json.loads((Path(datasets.__file__).parent / "oxazepam_fmov.json").read_text())
    assert len(about["sha256"]) == 28 and all(len(v) == 64 for v in about["sha256"].values())
    assert about["licence"].startswith("CC0") and len(about["base_url"].split("/")[5]) == 40


@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("oxazepam_fmov"),
                    reason="NOCIBAND_DATA does not hold oxazepam_fmov")
def test_the_real_data_set():
    began = time.monotonic()
    recording = fmov.load_subject("24")
    assert time.monotonic() - began < 1
    assert len(recording.events) == 12 and recording.duration_s > 380
    about = datasets.describe("oxazepam_fmov")["sha256"]
    for path in fmov.files().values():
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == about[path.name.removesuffix(".gz")]
