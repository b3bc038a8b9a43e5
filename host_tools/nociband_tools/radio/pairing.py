"""Pairing as both ends of the virtual radio insist on it: LE Secure Connections with a passkey, bonded, 16-byte key.

Bumble 0.0.236 by itself accepts legacy pairing and Just Works whatever its configuration says, answers an encryption request
with the key of a pairing that never finished, takes pairing steps that no request began, and calls any encrypted link
authenticated. `StrictSession` and `KeyChooser` close these; what they know about the key in use is what the band is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bumble import hci, smp
from bumble.device import Connection, Device
from bumble.pairing import PairingConfig, PairingDelegate

from nociband_tools.radio.keys import KeyFile

KEY_BYTES = 16
_KEYBOARDS = (smp.IoCapability.KEYBOARD_ONLY, smp.IoCapability.KEYBOARD_DISPLAY)
_DISPLAYS = (smp.IoCapability.DISPLAY_ONLY, smp.IoCapability.DISPLAY_YES_NO, smp.IoCapability.KEYBOARD_DISPLAY)
_BEFORE_ACCEPTANCE = (smp.SMP_Pairing_Request_Command, smp.SMP_Pairing_Failed_Command)


@dataclass(frozen=True)
class KeyInUse:
    """What is known of the key that encrypts a link."""

    authenticated: bool
    secure_connections: bool
    key_bytes: int


class Delegate(PairingDelegate):
    """One end's part in pairing; `permit` is asked first by the end that is paired with.

    Only encryption keys are distributed: with Secure Connections that leaves nothing to send, and addresses stay as they are.
    """

    def __init__(self, io_capability: PairingDelegate.IoCapability) -> None:
        super().__init__(io_capability, PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY,
                         PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY, KEY_BYTES)

    async def permit(self) -> bool:
        """May the peer pair at all?"""
        return False


def weakness(auth_req: int, io_capability: int, oob_data_flag: int, key_bytes: int,
             accepted_io: tuple[smp.IoCapability, ...]) -> smp.ErrorCode | None:
    """Why what the peer offers is not good enough, None when it is."""
    wanted = smp.AuthReq.SC | smp.AuthReq.BONDING
    if auth_req & wanted != wanted or io_capability not in accepted_io:
        return smp.ErrorCode.AUTHENTICATION_REQUIREMENTS
    if oob_data_flag:
        return smp.ErrorCode.OOB_NOT_AVAILABLE
    return smp.ErrorCode.ENCRYPTION_KEY_SIZE if key_bytes != KEY_BYTES else None


def _weakness_of(command: Any, accepted_io: tuple[smp.IoCapability, ...]) -> smp.ErrorCode | None:
    return weakness(command.auth_req, command.io_capability, command.oob_data_flag, command.maximum_encryption_key_size,
                    accepted_io)


class StrictSession(smp.Session):
    """A pairing that ends in an authenticated Secure Connections key, or fails.

    `accepted`: the request was permitted and good enough. `verified`: both ends proved that they have the same key.
    """

    accepted = False
    verified = False

    def on_smp_command(self, command: smp.SMP_Command) -> None:
        """As Bumble's, but a responder takes nothing before it accepted a request."""
        if self.is_responder and not self.accepted and not isinstance(command, _BEFORE_ACCEPTANCE):
            self.send_command(smp.SMP_Pairing_Failed_Command(reason=smp.ErrorCode.UNSPECIFIED_REASON))
            self.end()
            return
        if self.is_responder and not self.accepted and isinstance(command, smp.SMP_Pairing_Failed_Command):
            self.end()
            return
        super().on_smp_command(command)

    async def on_smp_pairing_request_command_async(self, command: smp.SMP_Pairing_Request_Command) -> None:
        """Ask whether pairing is permitted, then whether the offer is good enough."""
        if self.accepted or self.is_initiator:
            self.send_pairing_failed(smp.ErrorCode.UNSPECIFIED_REASON)
            return
        delegate = self.pairing_config.delegate
        if not (isinstance(delegate, Delegate) and await delegate.permit()):
            self.send_command(smp.SMP_Pairing_Failed_Command(reason=smp.ErrorCode.PAIRING_NOT_SUPPORTED))
            self.end()
            return
        if error := _weakness_of(command, _KEYBOARDS):
            self.send_pairing_failed(error)
            return
        self.accepted = True
        await super().on_smp_pairing_request_command_async(command)

    def on_smp_pairing_response_command(self, command: smp.SMP_Pairing_Response_Command) -> None:
        """Refuse a band that offers less than it must."""
        if error := _weakness_of(command, _DISPLAYS):
            self.send_pairing_failed(error)
            return
        super().on_smp_pairing_response_command(command)

    def on_smp_pairing_public_key_command(self, command: smp.SMP_Pairing_Public_Key_Command) -> None:
        """Refuse our own key sent back to us (Core specification, Vol 3, Part H, 2.3.5.6.1)."""
        if command.public_key_x == self.ecc_key.x[::-1]:
            self.send_pairing_failed(smp.ErrorCode.INVALID_PARAMETERS)
            return
        super().on_smp_pairing_public_key_command(command)

    def on_smp_pairing_dhkey_check_command(self, command: smp.SMP_Pairing_DHKey_Check_Command) -> None:
        """The last check: from here on the key may encrypt the link."""
        self.verified = command.dhkey_check == (self.eb if self.is_initiator else self.ea)
        super().on_smp_pairing_dhkey_check_command(command)

    def on_pairing_failure(self, reason: smp.ErrorCode) -> None:
        """A failed session must not be used again, nor its key pair."""
        super().on_pairing_failure(reason)
        self.end()

    def end(self) -> None:
        """Forget this session, so that the next request begins a new one."""
        self.completed = True
        self.verified = False
        self.manager._ecc_key = None
        self.on_disconnection(0)


class KeyChooser:
    """Answers a controller's request for a link's key, and remembers which key it gave."""

    def __init__(self, device: Device, keys: KeyFile) -> None:
        self._device = device
        self._keys = keys
        self.in_use: dict[int, KeyInUse] = {}
        device.host.long_term_key_provider = self.long_term_key

    async def long_term_key(self, handle: int, rand: bytes, ediv: int) -> bytes | None:
        """The key for the connection `handle`: of a pairing that was verified, else of the bond, else None."""
        self.in_use.pop(handle, None)
        connection = self._device.lookup_connection(handle)
        if connection is None or any(rand) or ediv:  # Secure Connections keys have rand and ediv 0
            return None
        session = self._device.smp_manager.sessions.get(handle)
        if isinstance(session, StrictSession) and session.verified and session.sc:
            passkey = session.pairing_method == smp.PairingMethod.PASSKEY
            self.in_use[handle] = KeyInUse(passkey, True, KEY_BYTES)
            return session.ltk
        bond = self._keys.peek(str(connection.peer_address))
        if bond is None or bond.ltk is None:
            return None
        self.in_use[handle] = KeyInUse(bond.ltk.authenticated, True, len(bond.ltk.value))
        return bond.ltk.value


def make_strict(device: Device, keys: KeyFile, delegate_for: Any) -> None:
    """Set up `device` (powered on) to pair only as this module demands; `delegate_for(connection)` gives the Delegate."""

    def config(connection: Connection) -> PairingConfig:
        return PairingConfig(sc=True, mitm=True, bonding=True, delegate=delegate_for(connection),
                             identity_address_type=PairingConfig.AddressType(hci.Address.RANDOM_DEVICE_ADDRESS))

    device.keystore = keys
    device.smp_session_proxy = StrictSession
    device.pairing_config_factory = config
