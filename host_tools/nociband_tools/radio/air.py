"""The air between emulated band and hosts: Bumble's link and controllers, mended, with one HCI-over-TCP (H4) port for hosts.

Every TCP client gets a controller of its own, so that two hosts can be in range. What Bumble 0.0.236 leaves out and is mended
here: data length and PHY commands, cancelling a connection attempt, a connect request that nobody heard, disconnecting what has
gone already, own addresses, a peer that vanishes (supervision timeout), and back-pressure from a host that reads slowly. There
is no model of air time or noise.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable

from bumble import core, hci, ll
from bumble.controller import Connection, Controller
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import StreamPacketSource

from nociband.errors import EnvironmentProblem

log = logging.getLogger(__name__)

SUPERVISION_S = 1.0
ESTABLISH_S = 0.2
ACL_BYTES = 251  # one ACL packet holds one notification at the ATT MTU of 247
_HOST_BUFFER_BYTES = 16384


def pass_over_late_answers(host: Host) -> None:
    """Bumble sets the result of a wait that was cancelled a moment before; that is no error, and nobody waits for it any more."""
    original = host.on_packet

    def on_packet(packet: bytes) -> None:
        try:
            original(packet)
        except asyncio.InvalidStateError as e:
            log.debug("an answer came after its wait was cancelled: %s", e)

    host.on_packet = on_packet  # type: ignore[method-assign]


class Link(LocalLink):
    """LocalLink that stamps data with the address the connection was made with, not always the random one."""

    def send_acl_data(self, sender_controller: Controller, destination_address: hci.Address,
                      transport: core.PhysicalTransport, data: bytes) -> None:
        """Hand an L2CAP frame to the peer's controller, if it is still there."""
        connection = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if connection is not None and receiver is not None:
            asyncio.get_running_loop().call_soon(receiver.on_link_acl_data, connection.self_address, transport, data)


class AirController(Controller):
    """Controller with what is missing for this use (see the module's first lines)."""

    le_acl_data_packet_length = ACL_BYTES
    supported_max_tx_octets = ACL_BYTES
    supported_max_rx_octets = ACL_BYTES
    suggested_max_tx_octets = ACL_BYTES

    def __init__(self, name: str, link: Link, number: int) -> None:
        super().__init__(name, link=link, public_address=hci.Address(f"C0:FF:EE:00:00:{number % 256:02X}",
                                                                     hci.Address.PUBLIC_DEVICE_ADDRESS))
        self.port: HostPort | None = None

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Deliver; the packet counts as completed, and frees the sender's buffer, once the peer's host has room for it."""
        connection = self.find_connection_by_handle(packet.connection_handle)
        if connection is None:
            log.debug("%s: data for a link that has gone", self.name)
            return
        connection.assembler.feed_packet(packet)
        done = hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[connection.handle], num_completed_packets=[1])
        peer = self.link.find_le_controller(connection.peer_address)
        if isinstance(peer, AirController) and peer.port is not None:
            peer.port.when_room(lambda: self.send_hci_packet(done))
        else:
            self.send_hci_packet(done)

    def on_hci_le_set_data_length_command(self, command: hci.HCI_LE_Set_Data_Length_Command):  # type: ignore[no-untyped-def]
        """Grant what was asked for, up to 251 octets."""
        octets = min(command.tx_octets, ACL_BYTES)
        asyncio.get_running_loop().call_soon(self.send_hci_packet, hci.HCI_LE_Data_Length_Change_Event(
            connection_handle=command.connection_handle, max_tx_octets=octets, max_tx_time=2120,
            max_rx_octets=octets, max_rx_time=2120))
        return type(command).return_parameters_class(status=hci.HCI_ErrorCode.SUCCESS,
                                                      connection_handle=command.connection_handle)

    def on_hci_le_set_phy_command(self, command: hci.HCI_LE_Set_PHY_Command) -> None:
        """Grant 2M when it was asked for, else 1M."""
        self._send_hci_command_status(0, command.op_code)
        self.send_hci_packet(hci.HCI_LE_PHY_Update_Complete_Event(
            status=0, connection_handle=command.connection_handle, tx_phy=2 if command.tx_phys & 2 else 1,
            rx_phy=2 if command.rx_phys & 2 else 1))

    def on_hci_le_create_connection_cancel_command(self, _command: hci.HCI_LE_Create_Connection_Cancel_Command):  # type: ignore[no-untyped-def]
        """End the attempt, and say so: without the event the host waits for ever."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        asyncio.get_running_loop().call_soon(self.send_hci_packet, hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, connection_handle=0, role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type, peer_address=pending.peer_address,
            connection_interval=0, peripheral_latency=0, supervision_timeout=0, central_clock_accuracy=0))
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """As Bumble's; for a link that the peer ended a moment before, it says so instead of nothing."""
        if self.find_connection_by_handle(command.connection_handle) is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
        else:
            super().on_hci_disconnect_command(command)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Connect, and give up when the advertiser did not take the request (it went to another host)."""
        super().create_le_connection(peer_address)
        if connection := self.le_connections.get(peer_address):
            asyncio.get_running_loop().call_later(ESTABLISH_S, self._check_established, connection)

    def _check_established(self, connection: Connection) -> None:
        peers = (c for c in self.link.controllers if c is not self)
        heard = any(p.self_address == connection.peer_address and p.peer_address == connection.self_address
                    for c in peers for p in c.le_connections.values())
        if not heard:
            self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        """As Bumble's; what still comes from a link that has ended is dropped."""
        if sender_address in self.le_connections:
            super().on_ll_control_pdu(sender_address, packet)

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """As Bumble's, once: both ends may time out at the same moment."""
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

    def fall_silent(self) -> None:
        """Stop everything that goes out on its own: advertising, scanning, connecting."""
        self.le_legacy_advertiser.stop()
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None

    def time_out(self) -> None:
        """End each link at both ends as a supervision timeout does (0x08)."""
        reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        for connection in list(self.le_connections.values()):
            if self.link.find_le_controller(connection.peer_address) is not None:
                connection.send_ll_control_pdu(ll.TerminateInd(reason))
            self.on_le_disconnected(connection, reason)


class HostPort(asyncio.Protocol):
    """One TCP client: HCI packets (H4) between it and its controller, with back-pressure."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._waiting: list[Callable[[], None]] = []
        self._full = False
        self._source = StreamPacketSource()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client a controller."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_HOST_BUFFER_BYTES)
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HOST_BUFFER_BYTES)
        self.controller = self._air.controller("host")
        self.controller.port = self
        self.controller.host = self
        self._source.set_packet_sink(self.controller)

    def when_room(self, then: Callable[[], None]) -> None:
        """Call `then` now, or once the client has read enough."""
        if self._full:
            self._waiting.append(then)
        else:
            then()

    def on_packet(self, packet: bytes) -> None:
        """From the controller to the client."""
        if not self._transport.is_closing():
            self._transport.write(packet)

    def data_received(self, data: bytes) -> None:
        """From the client to the controller."""
        self._source.data_received(data)

    def pause_writing(self) -> None:
        """The client reads slower than it is sent to."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client vanished: its peers notice after the supervision timeout."""
        self.resume_writing()
        self.controller.host = None
        self._air.vanish(self.controller)

    def close(self) -> None:
        """Drop the client."""
        self._transport.abort()


class Air:
    """Link, controllers and the TCP server; use `async with await Air.open(port) as air`."""

    def __init__(self, supervision_s: float = SUPERVISION_S) -> None:
        self.link = Link()
        self.supervision_s = supervision_s
        self.address = ""
        self._numbers = itertools.count(1)
        self._ports: list[HostPort] = []
        self._server: asyncio.Server | None = None

    @classmethod
    async def open(cls, port: int = 0, supervision_s: float = SUPERVISION_S) -> Air:
        """Serve hosts on 127.0.0.1:`port` (0: a free one). Raises EnvironmentProblem when the port is taken."""
        air = cls(supervision_s)
        try:
            air._server = await asyncio.get_running_loop().create_server(air._new_port, "127.0.0.1", port)
        except OSError as e:
            raise EnvironmentProblem(f"port {port} on 127.0.0.1 cannot be used ({e.strerror or e}): "
                                     "choose another with --port, or leave it out for a free one") from e
        air.address = f"127.0.0.1:{air._server.sockets[0].getsockname()[1]}"
        return air

    def _new_port(self) -> HostPort:
        self._ports.append(HostPort(self))
        return self._ports[-1]

    def controller(self, name: str) -> AirController:
        """A new controller in range of the others."""
        number = next(self._numbers)
        return AirController(f"{name}{number}", self.link, number)

    def vanish(self, controller: AirController) -> None:
        """The device behind `controller` has gone without a word: silence now, links time out, then it is out of range."""
        controller.fall_silent()
        asyncio.get_running_loop().call_later(self.supervision_s, self._remove, controller)

    def _remove(self, controller: AirController) -> None:
        controller.time_out()
        self.link.controllers.discard(controller)
        self._ports = [p for p in self._ports if p.controller is not controller]

    async def close(self) -> None:
        """Drop every client and stop serving."""
        if self._server is not None:
            self._server.close()
        for port in self._ports:
            port.close()

    async def __aenter__(self) -> Air:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
