"""What a Bluetooth stack must offer to `find_band` and `Band.connect`: bleak's two classes and a way to hand over the passkey.

The system's stack is SYSTEM (bleak's own choice; the operating system shows its pairing dialog). The virtual radio
(nociband_tools.radio.client.virtual_backend) gives an object of the same shape.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner

from nociband.errors import PairingError

Passkey = int | str | Callable[[], Any] | None
PASSKEY_MAX = 999_999


class Backend(Protocol):
    """A Bluetooth stack. `scanner` and `client` are classes for bleak's `backend=` (None: the system's).

    `passkey` is set by Band.connect for as long as it pairs: an async function without arguments that gives the six digits
    as an int (0-999999), or raises PairingError. A stack whose dialog is the operating system's never calls it.
    """

    scanner: type[BaseBleakScanner] | None
    client: type[BaseBleakClient] | None
    passkey: Callable[[], Awaitable[int]] | None


@dataclass
class SystemBackend:
    """The system's Bluetooth through bleak."""

    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None
    passkey: Callable[[], Awaitable[int]] | None = None


def passkey_function(passkey: Passkey) -> Callable[[], Awaitable[int]]:
    """Make an async function of what the application gave: a number, its digits, or a function (async or not) that asks.

    The function raises PairingError when there is no passkey or it is not 0-999999.
    """

    async def ask() -> int:
        answer: Any = passkey
        if inspect.iscoroutinefunction(passkey):
            answer = passkey()
        elif callable(passkey):     # it may wait for a person (input()): the link must live on meanwhile
            answer = await _in_thread(passkey)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is None:
            raise PairingError("the band asks for its passkey (six digits on its label) and none was given: "
                               "pass passkey= to Band.connect, or --passkey")
        try:
            number = int(str(answer).strip())
        except ValueError:
            number = -1
        if not 0 <= number <= PASSKEY_MAX:
            raise PairingError(f"{answer!r} is not a passkey: it has six digits, 000000-999999, and is on the band's label")
        return number

    return ask


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Run in a daemon thread: Ctrl-C must not wait for a person who will not answer any more (asyncio.to_thread would)."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function()
        except EOFError:
            error = PairingError("no passkey was typed: press the band's button and try again")
        except Exception as e:      # it is the application's, and belongs to whoever connects
            error = e
        with contextlib.suppress(RuntimeError):     # the loop may have ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, daemon=True, name="passkey").start()
    return await done
