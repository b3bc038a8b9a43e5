"""The contract between band and host: wire.toml, features.toml and bridge.toml, read once as SPEC.

UUIDs, layouts, rates, scales and codes are nowhere else. `make gen` writes the firmware's headers and docs/wire.md from it.
"""

from nociband.spec.contract import (
    SPEC,
    Characteristic,
    ControlOperation,
    Feature,
    Field,
    Layout,
    Message,
    Spec,
    load,
)

__all__ = ["SPEC", "Characteristic", "ControlOperation", "Feature", "Field", "Layout", "Message", "Spec", "load"]
