"""A band in memory behind bleak's backend classes: the hardware seam, with the faults that a real one can show.

Tests set its attributes (info, manifest, passkey, faults) before or while a Band talks to it. It keeps real time, sends a
block every `block_s`, and answers the control point as wire.toml says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError

from nociband.errors import PairingError
from nociband.spec import SPEC
from nociband.wire import encode_frame

PAGE_BYTES = 200
OPS = {c.op: c for c in SPEC.control.values()}
NAME_OF = {str(c.uuid): c.name for c in SPEC.characteristics.values()}


def manifest_dict(of: str = "pain", **changes: Any) -> dict[str, Any]:
    """A manifest that holds together; `changes` replace keys."""
    values = [0.0, 2.5, 5.0, 7.5, 10.0] if of == "pain" else [None] * 3
    labels = ["none", "mild", "moderate", "strong", "severe"] if of == "pain" else ["angry", "happy", "neutral"]
    raw = {
        "name": f"test_{of}", "title": f"Test model of {of}", "version": "1.0.0", "of": of, "synthetic": of == "pain",
        "warning": "emotion, not pain" if of != "pain" else "trained on a simulator", "scheme": "int16x8",
        "spec_hash": SPEC.hash, "features": [f.name for f in SPEC.model_inputs],
        "window_frames": SPEC.features["window"]["frames"],
        "input": [{"mult": 1000 + i, "shift": 10, "mean": 0.0, "std": 1.0, "scale": 1e-4} for i in range(len(SPEC.model_inputs))],
        "output": {"scale": 0.001, "zero_point": 0},
        "classes": [{"label": name, "value": v} for name, v in zip(labels, values, strict=True)],
        "sites": ["corrugator", "zygomaticus"], "branches": {"eda": {"hidden": 8}, "emg": {"hidden": 8}},
        "training": {"dataset": "none"}, "files": {"eda.tflite": "00"}, "created_with": {},
    }
    return {**raw, **changes}


class FakeBand:
    """State and behaviour of one band. `lose(seq)` and `damage(seq)` say which frames get lost or broken on the air."""

    def __init__(self, of: str = "pain", block_s: float = 0.004, blocks: int | None = None) -> None:
        self.manifest = json.dumps(manifest_dict(of)).encode()
        self.block_s, self.blocks = block_s, blocks
        self.wire_major, self.spec_hash = SPEC.major, bytes.fromhex(SPEC.hash[:16])
        self.passkey, self.bonded, self.pairings = 123456, True, 0
        self.answers_forget = True
        self.lose: Callable[[int], bool] = lambda seq: False
        self.damage: Callable[[int], bool] = lambda seq: False
        self.mute = self.off = False
        self.not_ready_times = 0
        self.outputs: int | None = None
        self.why = 0
        self.sent: list[bytes] = []
        self.epoch, self.running, self.boot_s = 0, False, time.time() - 1000.0
        self._client: FakeClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._page = 0
        self._reset_counters()

    def _reset_counters(self) -> None:
        self.seq = self.block = self.dropped = self.predictions = 0

    def backend(self) -> Any:
        """A fresh object of the shape of nociband.band.Backend."""
        band = self

        class FakeBackend:
            scanner = type("Scanner", (FakeScanner,), {"band": band})
            client = type("Client", (FakeClient,), {"band": band})
            passkey: Any = None

        backend = FakeBackend()
        FakeBackend.client.backend_object = backend
        return backend

    # --- values --------------------------------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        return int((time.time() - self.boot_s) * 1e6)

    def status_fields(self) -> dict[str, int]:
        return {"state": int(self.running), "battery_percent": 77, "flags": 0b1100, "samples_taken": self.block * 40,
                "underruns": 0, "frames_sent": self.seq - self.dropped, "frames_dropped": self.dropped,
                "predictions": self.predictions}

    def read(self, name: str) -> bytes:
        if name != "info" and not self.bonded:
            raise BleakGATTProtocolError(0x05)
        if name == "info":
            model_hash = hashlib.sha256(self.manifest).digest()[:8]
            return SPEC.records["info"].pack(wire_major=self.wire_major, wire_minor=0, firmware_version=[1, 2, 3], reserved=0,
                                             spec_hash=self.spec_hash, model_hash=model_hash)
        if name == "status":
            return SPEC.records["status"].pack(**self.status_fields())
        pages = -(-len(self.manifest) // PAGE_BYTES)
        data = self.manifest[self._page * PAGE_BYTES:(self._page + 1) * PAGE_BYTES]
        return SPEC.records["manifest_page"].pack(page=self._page, pages=pages, bytes_total=len(self.manifest), data=data)

    def write(self, name: str, data: bytes) -> None:
        if not self.bonded:
            raise BleakGATTProtocolError(0x05)
        if name == "manifest":
            self._page = int.from_bytes(data, "little")
            return
        result, values = self._obey(OPS[data[0]].name)
        if OPS[data[0]].name == "forget" and not self.answers_forget:
            return
        response = OPS[data[0]].response.pack(**values) if result == 0 else b""
        self.notify("control", bytes([data[0], result]) + response)

    def _obey(self, op: str) -> tuple[int, dict[str, int]]:
        if op == "get_time":
            return 0, {"t_us": self.now_us}
        if op == "start":
            return self._start()
        if op == "forget":
            self.bonded = False
            asyncio.get_running_loop().call_later(0.01, self.drop_link)
            return 0, {}
        if not self.running:
            return 3, {}
        self.end()
        self.send("status", self.now_us, **self.status_fields())
        return 0, {"samples_taken": self.block * 40}

    def _start(self) -> tuple[int, dict[str, int]]:
        if self.running:
            return 3, {}
        if self.not_ready_times:
            self.not_ready_times -= 1
            return 4, {}
        self._reset_counters()
        self.epoch, self.running = (self.epoch + 1) % 256, True
        self._task = asyncio.create_task(self._run())
        return 0, {"epoch": self.epoch, "t_us": self.now_us}

    # --- sending -------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self.running and (self.blocks is None or self.block < self.blocks):
            self.send_block()
            await asyncio.sleep(self.block_s)

    def send_block(self) -> None:
        i, t_us = self.block, self.now_us - 40_000
        self.send("signals", t_us, sample_index=40 * i, eda_counts=[500 + i % 1000] * 2, emg_counts=np.arange(80) - i % 100)
        self.block += 1
        if self.block % 5 == 0:
            self.send("features", t_us - 160_000, frame_index=i - 4, features=np.arange(30) + i % 1000)
        if self.block % 25 == 0:
            self.send("motion", t_us - 960_000, sample_index=i - 24, accel_mg=[0, 0, 1000] * 25)
            self.predictions += 1
            outputs = len(json.loads(self.manifest)["classes"]) if self.outputs is None else self.outputs
            self.send("prediction", t_us, frame_index=i, why=self.why, quality_percent=90, outputs=outputs, compute_us=1000,
                      logits=[0, 0, 3000, 0, 0, 0, 0, 0])
            self.send("status", self.now_us, **self.status_fields())

    def send(self, name: str, t_us: int, **fields: Any) -> None:
        data = encode_frame(name, epoch=self.epoch, seq=self.seq, t_us=t_us, **fields)
        seq, self.seq = self.seq, self.seq + 1
        if self._client is None:
            self.dropped += 1
            return
        self.sent.append(data)
        if self.mute or self.lose(seq):
            return
        self.notify("stream", data[:-1] if self.damage(seq) else data)

    def notify(self, name: str, data: bytes) -> None:
        if self._client is not None and name in self._client.callbacks:
            self._client.callbacks[name](bytearray(data))

    def end(self) -> None:
        self.running = False
        if self._task is not None:
            self._task.cancel()

    def drop_link(self) -> None:
        """The link breaks; the band goes on by itself."""
        client, self._client = self._client, None
        if client is not None:
            client.lost()

    def restart(self) -> None:
        """Reset: the link breaks, the session is gone, time and epochs begin anew."""
        self.drop_link()
        self.end()
        self.boot_s, self.epoch = time.time() - 10.0, 0


class FakeScanner(BaseBleakScanner):
    band: FakeBand

    def __init__(self, detection_callback: Any, service_uuids: Any, scanning_mode: str, **_: Any) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices = {}
        if self.band.off:
            return
        data = AdvertisementData("NbTEST", {}, {}, [str(SPEC.service_uuid)], None, -50, ())
        device = self.create_or_update_device("a", "F0:00:00:00:00:01", "NbTEST", None, data)
        asyncio.get_running_loop().call_later(0.01, lambda: self.call_detection_callbacks(device, data))

    async def stop(self) -> None:
        pass


class FakeClient(BaseBleakClient):
    band: FakeBand
    backend_object: Any

    def __init__(self, device: BLEDevice | str, *, disconnected_callback: Any = None, timeout: float = 30.0, **_: Any) -> None:
        super().__init__(device, disconnected_callback=disconnected_callback, timeout=timeout)
        self.callbacks: dict[str, Callable[[bytearray], None]] = {}

    @property
    def name(self) -> str:
        return "NbTEST"

    @property
    def mtu_size(self) -> int:
        return 247

    @property
    def is_connected(self) -> bool:
        return self.band._client is self

    async def connect(self, pair: bool, **_: Any) -> None:
        if self.band.off:
            raise BleakError("nobody there")
        self.services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, str(SPEC.service_uuid))
        self.services.add_service(service)
        for i, c in enumerate(SPEC.characteristics.values()):
            handle = 10 * (i + 1)
            added = BleakGATTCharacteristic(None, handle, str(c.uuid), list(c.properties), lambda: 244, service)
            self.services.add_characteristic(added)
            self.services.add_descriptor(BleakGATTDescriptor(None, handle + 1, "00002902-0000-1000-8000-00805f9b34fb", added))
        self.band._client = self

    def lost(self) -> None:
        if self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self.is_connected:
            self.band._client = None

    async def pair(self, *_: Any, **__: Any) -> None:
        if await self.backend_object.passkey() != self.band.passkey:
            raise PairingError("the passkey is not the band's")
        self.band.bonded, self.band.pairings = True, self.band.pairings + 1

    async def unpair(self) -> None:
        pass

    def _check(self) -> None:
        if not self.is_connected:
            raise BleakError("Not connected")

    async def read_gatt_char(self, characteristic: Any, **_: Any) -> bytearray:
        self._check()
        return bytearray(self.band.read(NAME_OF[characteristic.uuid]))

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        self._check()
        self.band.write(NAME_OF[characteristic.uuid], bytes(data))

    async def read_gatt_descriptor(self, descriptor: Any, **_: Any) -> bytearray:
        return bytearray(2)

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        pass

    async def start_notify(self, characteristic: Any, callback: Any, **_: Any) -> None:
        self._check()
        self.callbacks[NAME_OF[characteristic.uuid]] = callback

    async def stop_notify(self, characteristic: Any) -> None:
        self.callbacks.pop(NAME_OF[characteristic.uuid], None)
