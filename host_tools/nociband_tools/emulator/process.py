"""The firmware as a child process: a native program, or QEMU with the image, on three TCP channels that this end listens on.

The child runs in its own process group with its output in a log, and dies with this process whatever kills it (Linux:
PR_SET_PDEATHSIG), so that no QEMU is left behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nociband.errors import BandError, EnvironmentProblem

QEMU = "qemu-system-arm"
CHANNELS = ("radio", "front_end", "board")
NVM_BYTES = 16 * 1024 * 1024
CONNECT_S = 15.0
TERMINATE_S = 3.0
FRONT_END_BUFFER_BYTES = 4096
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """What a child runs before exec, so that it gets this signal when this process dies, whatever kills it.

    The library is loaded here: between fork and exec nothing may be imported.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask


def native_command(firmware: Path, ports: dict[str, int], state: Path) -> list[str]:
    """The band as a process of this machine."""
    return [str(firmware), "--radio", str(ports["radio"]), "--front-end", str(ports["front_end"]),
            "--board", str(ports["board"]), "--nvm", str(state / "nvm.bin")]


def qemu_command(firmware: Path, ports: dict[str, int], state: Path) -> list[str]:
    """The band on the emulated Cortex-M4F: UART 0 is the log, 1-3 the channels, 16 MB at 0x21000000 its memory.

    Raises EnvironmentProblem without QEMU.
    """
    program = shutil.which(QEMU)
    if program is None:
        raise EnvironmentProblem(f"{QEMU} is not installed. On Debian and Ubuntu: sudo apt-get install -y qemu-system-arm; "
                                 "or run the band without it: --band native")
    nvm = state / "nvm_qemu.bin"
    if not nvm.exists() or nvm.stat().st_size != NVM_BYTES:
        with open(nvm, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:  # who it is bonded with
            file.truncate(NVM_BYTES)
    command = [program, "-display", "none", "-monitor", "none", "-nodefaults",
               "-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on",
               "-machine", "mps2-an386,memory-backend=nvm", "-kernel", str(firmware),
               "-chardev", "stdio,id=log,signal=off", "-serial", "chardev:log"]
    for name in CHANNELS:  # nodelay: without it every exchange waits some 45 ms for an acknowledgement
        command += ["-chardev", f"socket,id={name},host=127.0.0.1,port={ports[name]},nodelay=on", "-serial", f"chardev:{name}"]
    return command


class Listener:
    """A TCP port for one channel; takes one connection and closes."""

    def __init__(self, small_buffer: bool) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._small_buffer = small_buffer
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    async def accept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The band's end. With `small_buffer` this machine's buffers hold little, so that back-pressure is felt soon."""
        peer, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        self._socket.close()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._small_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FRONT_END_BUFFER_BYTES)
        reader, writer = await asyncio.open_connection(sock=peer)
        if self._small_buffer:
            writer.transport.set_write_buffer_limits(high=0)
        return reader, writer

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class BandProcess:
    """A running firmware and its channels' streams."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log
        self.streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    @property
    def pid(self) -> int:
        """Process id of QEMU or the native band."""
        return self._process.pid

    @classmethod
    async def start(cls, band: str, firmware: Path, state: Path) -> BandProcess:
        """Start the firmware and wait until it has opened its channels.

        Raises BandError with the end of its log when it does not, EnvironmentProblem without QEMU.
        """
        listeners = {name: Listener(small_buffer=name == "front_end") for name in CHANNELS}
        ports = {name: listener.port for name, listener in listeners.items()}
        running = None
        try:
            command = (qemu_command if band == "qemu" else native_command)(firmware, ports, state)
            running = await cls._spawn(command, state / "firmware.log")
            await running._connect(listeners)
        except BaseException:
            if running is not None:
                await running.stop()
            raise
        finally:
            for listener in listeners.values():
                listener.close()
        return running

    @classmethod
    async def _spawn(cls, command: list[str], log: Path) -> BandProcess:
        options: dict[str, Any] = {"start_new_session": True}
        with log.open("wb") as out:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent(), **options)
            except OSError as e:
                raise BandError(f"{command[0]} does not start ({e.strerror or e}): build the firmware again") from e
        return cls(process, log)

    async def _connect(self, listeners: dict[str, Listener]) -> None:
        async def accept_all() -> None:
            for name, listener in listeners.items():
                self.streams[name] = await listener.accept()

        accepting = asyncio.create_task(accept_all())
        exited = asyncio.create_task(self._process.wait())
        done, _ = await asyncio.wait({accepting, exited}, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        exited.cancel()
        if accepting in done:
            accepting.result()
            return
        accepting.cancel()
        why = f"ended with status {self._process.returncode}" if done else f"did not open its channels within {CONNECT_S:g} s"
        raise BandError(f"the firmware {why}. {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for a message."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()[-3:] if self.log.exists() else []
        return f"Its log ({self.log}) ends: {' | '.join(lines)}" if lines else f"Its log ({self.log}) is empty"

    async def wait(self) -> int:
        """Its exit status once it has ended (negative: the signal)."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask its process group to end, then make it."""
        for writer in (w for _, w in self.streams.values()):
            writer.close()
        for number, patience_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, None)):
            if self._process.returncode is not None:
                return
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass
            try:
                await asyncio.wait_for(self._process.wait(), patience_s)
            except TimeoutError:
                continue
