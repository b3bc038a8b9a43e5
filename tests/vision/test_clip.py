"""The made clip: labelled, quick enough, and the only thing that can be written to a file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nociband.errors import DataError
from nociband.vision.clip import ACTS, LEVELS, PERIOD_S, Clip, intensity
from nociband.vision.extras import opencv
from nociband_tools.clip import write_clip
from nociband_tools.commands import clip as clip_command
from nociband_tools.commands import face as face_command


def test_it_has_neutral_stretches_and_full_expressions() -> None:
    levels = [intensity(t) for t in np.arange(0, 2 * PERIOD_S, 0.1)]
    assert min(levels) == 0 and max(levels) == 1
    assert all(intensity(t) == 0 for t in np.arange(0, 6, 0.25)), "long enough for the baseline"
    assert intensity(3 + PERIOD_S) == intensity(3) and intensity(8 + PERIOD_S) == intensity(8) == 1


def test_frames_say_that_they_are_synthetic(clip: Clip) -> None:
    for level in (0.0, 1.0):
        strip = clip.draw(dict.fromkeys(ACTS, level))[-30:, :340]
        assert (strip == 255).all(axis=2).sum() > 300 and (strip == 0).all(axis=2).sum() > 300, "white letters with a black edge"


def test_neutral_is_the_portrait_itself(clip: Clip) -> None:
    difference = np.abs(clip.draw({})[:-40].astype(int) - clip._portrait[:-40].astype(int))
    assert difference.max() <= 3


def test_an_act_changes_its_part_of_the_face_only(clip: Clip) -> None:
    neutral = clip.draw({}).astype(int)
    eyes_y = int(clip._points[[33, 133, 362, 263], 1].mean())
    changed = np.abs(clip.draw({"eye_closing": 1.0}) - neutral).max(axis=2) > 8
    rows = np.nonzero(changed.any(axis=1))[0]
    assert changed.any() and abs(rows - eyes_y).max() < 60


def test_all_levels_are_drawn_in_under_four_seconds_and_then_kept() -> None:
    clip = Clip()
    start = time.process_time()
    frames = [clip.read(t) for t in np.arange(0, PERIOD_S, 1.5 / LEVELS / 2)]
    assert time.process_time() - start < 4
    assert len({id(f) for f in frames}) == LEVELS + 1
    assert clip.read(7.6) is clip.read(7.6 + PERIOD_S)
    frame = clip.read(8.0)
    assert frame is not None and not frame.flags.writeable, "a kept frame cannot be spoilt by who reads it"


def test_the_clip_can_be_written_and_read_back(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "clip.avi"
    assert write_clip(path, seconds=8.0) == 96
    cv2 = opencv()
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert (video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)) == (12, 96)
    frames = []
    while (got := video.read())[0]:
        frames.append(got[1])
    assert len(frames) == 96
    for i in (0, 80, 95):
        expected = clip.read(i / 12)
        assert expected is not None and np.abs(frames[i].astype(int) - expected).mean() < 4


def test_where_the_clip_cannot_go_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"name it clip\.avi"):
        write_clip(tmp_path / "clip.mp4", 1)
    with pytest.raises(DataError, match="cannot be written"):
        write_clip(tmp_path / "no" / "clip.avi", 0.1)


def _invoke(command, *arguments: str):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_the_commands(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    written = _invoke(clip_command.command, str(path), "--seconds", "1")
    assert written.exit_code == 0 and "12 frames, synthetic" in written.output
    shown = _invoke(face_command.command, str(path), "--json")
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    assert shown.exit_code == 0 and 6 <= len(records) <= 9
    assert records[0]["source"] == "file clip.avi" and records[0]["why"] == ["baseline_unfinished"]
    plain = _invoke(face_command.command, "clip", "--seconds", "0.5")
    assert plain.exit_code == 0 and "no score: baseline unfinished" in plain.output and "synthetic" in plain.output
    missing = _invoke(face_command.command, str(tmp_path / "none.mp4"))
    assert isinstance(missing.exception, DataError)
