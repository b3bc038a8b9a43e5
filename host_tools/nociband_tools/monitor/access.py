"""Who may open the monitor: TLS and an access code for a tablet, and what a browser may be tricked into.

On 127.0.0.1 the Host and Origin headers keep other web pages out (DNS rebinding, cross-site WebSockets). With `--listen` the
connection is TLS with a certificate of our own, and a code is asked for. Key and code live in the monitor's state folder,
readable by its owner only; the code itself is not kept, only its scrypt hash.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nociband.errors import EnvironmentProblem

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"    # nothing that looks like something else
CODE_LENGTH = 10                                    # 49 bits
CERTIFICATE_DAYS = 397
SESSION_S = 12 * 3600.0
SESSIONS_MAX = 32
FAILURES_MAX, FAILURES_PER_S = 5, 60.0
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def default_state_dir() -> Path:
    """~/.local/share/nociband/monitor, or beneath XDG_DATA_HOME."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "nociband" / "monitor"


def prepare_state_dir(path: Path) -> Path:
    """Make the folder, for its owner only. Raises EnvironmentProblem when that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as e:
        raise EnvironmentProblem(f"the monitor cannot use {path} ({e.strerror}): choose another folder with --state") from e
    return path


def write_private(path: Path, data: bytes) -> None:
    """Replace a file in one step; nobody but the owner can read it at any moment."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as f:
        f.write(data)
    temporary.replace(path)


class AccessCode:
    """Checks a code against its scrypt hash in `access-code.json`."""

    def __init__(self, salt: bytes, digest: bytes) -> None:
        self._salt, self._digest = salt, digest

    @classmethod
    def open(cls, state_dir: Path, renew: bool = False) -> tuple[AccessCode, str | None]:
        """The code of this state folder. A new one is made on first use, or with `renew`, and returned to be shown once."""
        path = state_dir / "access-code.json"
        if path.exists() and not renew:
            try:
                stored = json.loads(path.read_text())
                return cls(bytes.fromhex(stored["salt"]), bytes.fromhex(stored["scrypt"])), None
            except (OSError, ValueError, KeyError, TypeError) as e:
                raise EnvironmentProblem(f"{path} is damaged: make a new access code with --new-code") from e
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        salt = secrets.token_bytes(16)
        digest = hashlib.scrypt(code.encode(), salt=salt, **_SCRYPT)
        write_private(path, json.dumps({"salt": salt.hex(), "scrypt": digest.hex()}).encode())
        return cls(salt, digest), f"{code[:5]}-{code[5:]}"

    def matches(self, attempt: str) -> bool:
        """Constant-time comparison; dashes, spaces and case do not matter. Takes tens of milliseconds: call it in a thread."""
        plain = attempt.replace("-", "").replace(" ", "").upper()[:64]
        return hmac.compare_digest(hashlib.scrypt(plain.encode(), salt=self._salt, **_SCRYPT), self._digest)


class Sessions:
    """Random tokens of browsers that knew the code; in memory only, so a restart asks again. Monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._until = clock, OrderedDict[str, float]()

    def begin(self) -> str:
        """A new token; the oldest goes when there are too many."""
        token = secrets.token_urlsafe(32)
        self._until[token] = self._clock() + SESSION_S
        while len(self._until) > SESSIONS_MAX:
            self._until.popitem(last=False)
        return token

    def holds(self, token: str | None) -> bool:
        """True for a token that was given out and has not run out. 256 random bits: looking it up gives nothing away."""
        return token is not None and self._until.get(token, -1.0) > self._clock()


class FailureLimit:
    """At most FAILURES_MAX wrong codes in FAILURES_PER_S from all sides together: 49 bits then outlast any guesser."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, deque[float](maxlen=FAILURES_MAX)

    def wait_s(self) -> float:
        """Seconds until another attempt is heard; 0 now."""
        if len(self._at) < FAILURES_MAX:
            return 0.0
        return max(0.0, self._at[0] + FAILURES_PER_S - self._clock())

    def attempt(self) -> None:
        """Counted before the code is looked at, so that attempts at the same moment cannot slip through."""
        self._at.append(self._clock())

    def forgive(self) -> None:
        """The last attempt was right."""
        if self._at:
            self._at.pop()


@dataclass(frozen=True)
class Certificate:
    """Files for TLS and the SHA-256 fingerprint to compare on the tablet."""

    certificate: Path
    key: Path
    fingerprint: str


def certificate_for(address: str, state_dir: Path) -> Certificate:
    """The self-signed certificate for this address; made anew when there is none, it has run out or names another address."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    certificate, key = state_dir / "certificate.pem", state_dir / "key.pem"
    names = _names(address)
    if not (certificate.exists() and key.exists() and _still_good(certificate, names)):
        _make_certificate(certificate, key, names)
    key.chmod(0o600)
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return Certificate(certificate, key, ":".join(f"{b:02X}" for b in digest))


def _names(address: str) -> set[str]:
    """What a browser may call this machine: the address, its host name and, for a wildcard, the addresses that name has."""
    host = socket.gethostname()
    names = {"localhost", "127.0.0.1", host, address}
    if address in ("0.0.0.0", "::"):
        names.discard(address)
        try:
            names |= {str(info[4][0]).split("%")[0] for info in socket.getaddrinfo(host, None)}
        except OSError:
            pass        # no name service: the certificate names what is known
    return names


def _subject_names(names: set[str]):
    from cryptography import x509

    for name in sorted(names):
        try:
            yield x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            yield x509.DNSName(name)


def _still_good(path: Path, names: set[str]) -> bool:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    day = datetime.timedelta(days=1)
    in_time = certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + day
    return in_time and set(_subject_names(names)) <= set(alternative)


def _make_certificate(certificate: Path, key: Path, names: set[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nociband monitor")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(list(_subject_names(names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    write_private(key, private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                             serialization.NoEncryption()))
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
