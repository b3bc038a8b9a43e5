"""Every error that the SDK raises on purpose. One root, so that an application can catch them all.

Each message says what is wrong and what to do next; command-line tools print it without a traceback.
"""


class NocibandError(Exception):
    """Root of all errors of this project."""


class SpecError(NocibandError):
    """A contract, manifest or model does not hold together or does not match this SDK."""


class WireError(NocibandError):
    """Bytes that came over the air do not decode."""


class DataError(NocibandError):
    """A recording or data set is missing, truncated or damaged."""


class ModelError(NocibandError):
    """A model cannot be loaded, run, trained or converted."""


class BandError(NocibandError):
    """A band cannot be found, reached or used."""


class BandNotFound(BandError):
    """No band answered in the time given."""


class PairingError(BandError):
    """Pairing was refused or failed."""


class BandDisconnected(BandError):
    """The link was lost and did not come back."""


class EnvironmentProblem(NocibandError):
    """Something that this command needs is not installed or not in reach."""
