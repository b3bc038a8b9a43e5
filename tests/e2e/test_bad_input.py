"""What a user gets wrong, and what breaks: each ends in a clear message or a visible state, never in a hang or a traceback."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from nociband_tools.firmware import firmware_root

from .conftest import demo_command, stream_for

SHORT = ("--seconds", "9", "--band", "native", "--face", "none", "--no-monitor")


def test_no_data_folder(run_demo) -> None:
    ran = run_demo(*SHORT, env={"NOCIBAND_DATA": "/nonexistent"})
    assert ran.status == 1
    assert "NOCIBAND_DATA" in ran.text and "/nonexistent" in ran.text


def test_a_truncated_recording(run_demo, tmp_path: Path, real_data) -> None:
    whole = sorted((Path(real_data) / "oxazepam_fmov/FMOV").glob("*.gz"))[0]
    cut = tmp_path / whole.name
    cut.write_bytes(whole.read_bytes()[:20000])
    ran = run_demo(*SHORT, "--source", str(cut), "--model", "fmov_emotion3")
    assert ran.status == 1
    assert whole.name in ran.text


@pytest.mark.slow
def test_a_damaged_column(run_demo, tmp_path: Path) -> None:
    bad = tmp_path / "99_FMOV_preprocessed.txt.gz"
    bad.write_bytes(gzip.compress(b"1\t2\t3\n" * 5000))
    ran = run_demo(*SHORT, "--source", str(bad), "--model", "fmov_emotion3")
    assert ran.status == 1 and "column" in ran.text


def test_an_unknown_model(run_demo) -> None:
    ran = run_demo(*SHORT, "--source", "simulator", "--model", "no_such_model")
    assert ran.status in (1, 2) and "no_such_model" in ran.text


@pytest.mark.parametrize(("arguments", "what"), [
    (("--face", "/nonexistent/face.avi"), "/nonexistent/face.avi"), (("--fault", "no-such-fault"), "no-such-fault"),
    (("--seconds", "-3"), "seconds"), (("--seconds", "abc"), "seconds"), (("--seconds", "inf"), "seconds"),
    (("--band", "no-such-band"), "no-such-band")])
def test_wrong_arguments(run_demo, arguments: tuple[str, ...], what: str) -> None:
    ran = run_demo(*SHORT, "--source", "simulator", *arguments)
    assert ran.status in (1, 2) and what in ran.text


def test_a_data_folder_that_is_a_file(run_demo, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    ran = run_demo(*SHORT, env={"NOCIBAND_DATA": str(file)})
    assert ran.status == 1 and str(file) in ran.text


def test_a_folder_for_the_summary_that_cannot_be_written(run_demo, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    ran = run_demo(*SHORT, "--source", "simulator", "--out", str(file))
    assert ran.status == 2 and str(file) in ran.text and "--out" in ran.text


def test_a_manifest_that_is_no_json(run_demo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(firmware_root() / "models/synthetic_pain5", other)
    for content in ("{", "[]"):
        (other / "manifest.json").write_text(content)
        ran = run_demo(*SHORT, "--source", "simulator", "--model", str(other))
        assert ran.status == 1 and "manifest.json" in ran.text


@pytest.mark.slow
def test_a_model_that_does_not_match_the_specification(run_demo, tmp_path: Path) -> None:
    """The band is built with the model all the same; the host refuses it on connection."""
    other = tmp_path / "other"
    shutil.copytree(firmware_root() / "models/synthetic_pain5", other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["spec_hash"] = "0" * len(manifest["spec_hash"])
    (other / "manifest.json").write_text(json.dumps(manifest))
    ran = run_demo(*SHORT, "--source", "simulator", "--model", str(other))
    assert ran.status == 1 and "spec" in ran.text.lower()


@pytest.mark.slow
def test_the_monitors_port_is_in_use(run_demo) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = str(s.getsockname()[1])
        ran = run_demo("--seconds", "9", "--band", "native", "--face", "none", "--source", "simulator", "--port", port)
    assert ran.status == 2 and port in ran.text and "in use" in ran.text


@pytest.mark.slow
def test_no_face_in_the_video(run_demo, tmp_path: Path) -> None:
    import numpy as np

    from nociband.vision.extras import opencv

    cv2, video = opencv(), tmp_path / "black.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(20):
        writer.write(np.zeros((240, 320, 3), np.uint8))
    writer.release()
    ran = run_demo("--seconds", "9", "--band", "native", "--face", str(video), "--no-monitor", "--source", "simulator")
    assert ran.status == 0, ran.text
    assert ran.summary["face_updates"] > 0 and ran.summary["fused_updates"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("band", ["native", "qemu"])
def test_the_band_is_killed_in_mid_stream(tmp_path: Path, band: str) -> None:
    out = tmp_path / "demo"
    command = demo_command(out, "--band", band, "--source", "simulator", "--face", "none", "--no-monitor", "--seconds", "60")
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        firmware = _wait_for_firmware(demo)
        stream_for(2, demo)
        os.kill(firmware, signal.SIGKILL)
        killed_at = time.monotonic()
        text, _ = demo.communicate(timeout=30)
        assert time.monotonic() - killed_at < 25
    finally:
        demo.kill()
    assert demo.returncode == 1, text
    assert "Traceback" not in text and "lost" in text
    assert any("SIGKILL" in problem for problem in json.loads((out / "summary.json").read_text())["problems"])
    assert not _alive(firmware)


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    command = demo_command(out, "--band", "qemu", "--source", "simulator", "--face", "none", "--no-monitor", "--seconds", "0")
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    firmware = _wait_for_firmware(demo)
    stream_for(7, demo)
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=30)
    assert demo.returncode == 0, text
    assert "Traceback" not in text and (out / "summary.json").exists()
    assert not _alive(firmware)


def _wait_for_firmware(demo: subprocess.Popen) -> int:
    """The firmware's process id, once the emulator has started it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and demo.poll() is None:
        for child in psutil.Process(demo.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name() in ("qemu-system-arm", "program"):
                    return child.pid
        time.sleep(0.1)
    raise AssertionError("the firmware never started: " + (demo.communicate()[0] if demo.poll() is not None else ""))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
