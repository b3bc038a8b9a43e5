"""Writes what is generated from the contract: three C headers and docs/wire.md. `--check` compares instead and fails on a diff.

    python -m nociband_tools.generate [--check] [--root DIR]
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from uuid import UUID

from nociband.dsp.coefficients import filter_tables
from nociband.spec import SPEC, Layout

C_DIR = Path("firmware/lib/nb_spec/src")
_C_TYPES = {"u8": "uint8_t", "i8": "int8_t", "u16": "uint16_t", "i16": "int16_t", "u32": "uint32_t", "i32": "int32_t",
            "u64": "uint64_t", "i64": "int64_t"}
_PROPERTY_BITS = {"read": 0x02, "write": 0x08, "notify": 0x10}


def _head(name: str, source: str, what: str) -> list[str]:
    guard = name.upper().replace(".", "_")
    return [f"/* {what}", f"   Generated from {source} by `make gen`. Do not edit. */", f"#ifndef {guard}", f"#define {guard}",
            "#include <stdint.h>", ""]


def _c_uuid(uuid: UUID, little: bool) -> str:
    raw = uuid.bytes[::-1] if little else uuid.bytes
    return "{" + ", ".join(f"0x{b:02x}" for b in raw) + "}"


def _c_struct(layout: Layout, prefix: str = "nb") -> list[str]:
    """A packed struct; a last field of open length is left to the caller, who appends its bytes."""
    name = f"{prefix}_{layout.name}"
    out = [f"/* {layout.doc} */"] if layout.doc else []
    out.append("typedef struct __attribute__((packed)) {")
    for f in layout.fields:
        note = ", ".join(x for x in (f"[{f.unit}]" if f.unit else "", f.doc) if x)
        comment = f" /* {note} */" if note else ""
        if f.count == 0:
            out.append(f"    /* then {f.name}: the rest, as {_C_TYPES[f.type]} */")
            continue
        out.append(f"    {_C_TYPES[f.type]} {f.name}{f'[{f.count}]' if f.count > 1 else ''};{comment}")
    out += [f"}} {name}_t;", f"#define {name.upper()}_BYTES {layout.size}u",
            f"_Static_assert(sizeof({name}_t) == {name.upper()}_BYTES, \"{name}\");", ""]
    return out


def wire_header() -> str:
    """nb_wire_spec.h: UUIDs in both byte orders, attributes, records, control operations, enumerations."""
    w = SPEC.wire
    o = _head("nb_wire_spec.h", "sdk/nociband/spec/wire.toml", "What goes over the air.")
    o += [f"#define NB_WIRE_MAJOR {SPEC.major}u", f"#define NB_WIRE_MINOR {SPEC.minor}u",
          f"#define NB_ATT_MTU {w['wire']['att_mtu']}u", f"#define NB_ATT_MTU_SIGNALS_MIN {w['wire']['att_mtu_signals_min']}u",
          f"#define NB_SPEC_HASH {{{', '.join(f'0x{b:02x}' for b in bytes.fromhex(SPEC.hash)[:8])}}}",
          f"#define NB_NAME_PREFIX \"{w['advertising']['name_prefix']}\"",
          f"#define NB_ADVERTISING_INTERVAL_MS {w['advertising']['interval_ms']}u",
          f"#define NB_PAIRING_WINDOW_S {w['pairing']['window_s']}u",
          f"#define NB_PAIRING_FAILURES_MAX {w['pairing']['failures_max']}u",
          f"#define NB_PAIRING_KEY_BYTES {w['pairing']['key_bytes']}u",
          f"#define NB_ATT_ERROR_INSUFFICIENT_AUTHENTICATION 0x{w['security']['bonded']['att_error']:02x}u", ""]
    o += ["/* Security of an attribute. */", "#define NB_SECURITY_OPEN 0u", "#define NB_SECURITY_BONDED 1u", ""]
    o += ["/* UUIDs: _LE is the order on the air, _BE the order in print. */",
          f"#define NB_UUID_SERVICE_LE {_c_uuid(SPEC.service_uuid, True)}",
          f"#define NB_UUID_SERVICE_BE {_c_uuid(SPEC.service_uuid, False)}"]
    for c in SPEC.characteristics.values():
        n = c.name.upper()
        bits = sum(_PROPERTY_BITS[p] for p in c.properties)
        o += [f"#define NB_UUID_{n}_LE {_c_uuid(c.uuid, True)}", f"#define NB_UUID_{n}_BE {_c_uuid(c.uuid, False)}",
              f"#define NB_ATTR_{n} 0x{c.id:04x}u", f"#define NB_ATTR_{n}_PROPERTIES 0x{bits:02x}u",
              f"#define NB_ATTR_{n}_SECURITY NB_SECURITY_{c.security.upper()}"]
    rows = ", ".join(f"X({c.name.upper()})" for c in SPEC.characteristics.values()).replace(", ", " ")
    o += [f"#define NB_ATTRIBUTES(X) {rows}", ""]
    for r in SPEC.records.values():
        o += _c_struct(r)
        if r.kind is not None:
            o.insert(len(o) - 1, f"#define NB_KIND_{r.name.upper()} {r.kind}u")
    for control in SPEC.control.values():
        o.append(f"#define NB_OP_{control.name.upper()} {control.op}u /* {control.doc} */")
        for layout, part in ((control.request, "request"), (control.response, "response")):
            if layout.fields:
                o += _c_struct(Layout(f"{control.name}_{part}", layout.fields))
    for group, names in SPEC.enums.items():
        o += [f"#define NB_{group.upper()}_{n.upper()} {v}u" for n, v in names.items()] + [""]
    for group, names in SPEC.flags.items():
        o += [f"#define NB_{group.upper()}_{n.upper()} (1u << {bit})" for n, bit in names.items()] + [""]
    return "\n".join([*o, "#endif", ""])


def features_header() -> str:
    """nb_features_spec.h: rates, blocks, quantised filters, features, window, baseline, trust."""
    f = SPEC.features
    o = _head("nb_features_spec.h", "sdk/nociband/spec/features.toml", "What is sampled and what the model sees.")
    seconds = f["block"]["us"] / 1e6
    o.append(f"#define NB_BLOCK_US {f['block']['us']}u")
    for name, s in f["signals"].items():
        n = name.upper()
        o += [f"#define NB_{n}_RATE_HZ {s['rate_hz']}u", f"#define NB_{n}_CHANNELS {len(s['channels'])}u",
              f"#define NB_{n}_PER_BLOCK {round(s['rate_hz'] * seconds)}u",
              f"#define NB_{n}_COUNTS_PER_UNIT {s['counts_per_unit']}u /* counts a {s['unit']} */"]
        if "saturation_counts" in s:
            o.append(f"#define NB_{n}_SATURATION_COUNTS {s['saturation_counts']}")
    o += ["", f"#define NB_FEATURES {len(SPEC.model_inputs)}u"]
    for i, m in enumerate(SPEC.model_inputs):
        o.append(f"#define NB_FEATURE_{m.name.upper()} {i}u /* {m.unit} * 2^{m.q} */")
    o += [f"#define NB_FEATURE_Q {{{', '.join(str(m.q) for m in SPEC.model_inputs)}}}",
          f"#define NB_FEATURE_BASELINE {{{', '.join(str(int(m.baseline)) for m in SPEC.model_inputs)}}}",
          f"#define NB_EMG_ENVELOPE_SHIFT {f['filters']['emg_envelope']['shift']}", "",
          "/* Butterworth sections {b0, b1, b2, a1, a2} in Q30, see nociband.dsp.coefficients. */"]
    for name, section in filter_tables().items():
        o.append(f"#define NB_SECTION_{name.upper()} {{{', '.join(str(int(v)) for v in section)}}}")
    o += ["", f"#define NB_WINDOW_FRAMES {f['window']['frames']}u",
          f"#define NB_PREDICT_EVERY_FRAMES {f['window']['predict_every_frames']}u",
          f"#define NB_BASELINE_MIN_FRAMES {f['baseline']['min_frames']}u",
          f"#define NB_BASELINE_MEMORY_FRAMES {f['baseline']['memory_frames']}u"]
    o += [f"#define NB_TRUST_{n.upper()} {v}" for n, v in f["trust"].items() if n != "doc"]
    return "\n".join([*o, "", "#endif", ""])


def bridge_header() -> str:
    """nb_bridge_spec.h: messages between an emulated band and the virtual board."""
    b = SPEC.bridge
    o = _head("nb_bridge_spec.h", "sdk/nociband/spec/bridge.toml", "The virtual board's channels; never on a real band.")
    o += [f"#define NB_BRIDGE_START 0x{b['framing']['start_of_frame']:02x}u",
          f"#define NB_BRIDGE_PAYLOAD_MAX {b['framing']['payload_max']}u", ""]
    o += [f"#define NB_CHANNEL_{n.upper()} {v}u" for n, v in b["channel"].items() if n != "doc"] + [""]
    o += [f"#define NB_SITE_{n.upper()} {v}u" for n, v in SPEC.sites.items()] + [""]
    for m in SPEC.messages.values():
        o.append(f"#define NB_MSG_{m.name.upper()} 0x{m.type:02x}u /* {m.channel}, to the {m.to} */")
        if any(f.count for f in m.layout.fields):
            o += _c_struct(m.layout, "nb_msg")
    return "\n".join([*o, "#endif", ""])


def _md_fields(layout: Layout) -> list[str]:
    out, at = ["| byte | field | type | unit | |", "| ---: | --- | --- | --- | --- |"], 0
    for f in layout.fields:
        kind = f.type + ("[]" if f.count == 0 else f"[{f.count}]" if f.count > 1 else "")
        out.append(f"| {at} | {f.name} | {kind} | {f.unit} | {f.doc} |")
        at += f.size
    return [*out, ""]


def wire_markdown() -> str:
    """docs/wire.md: the contract for people."""
    w = SPEC.wire
    o = ["# The wire", "", "Generated from `sdk/nociband/spec/wire.toml` by `make gen`. Do not edit.", "",
         f"Version {SPEC.major}.{SPEC.minor}, specification hash `{SPEC.hash[:16]}`. A host refuses another major version. "
         "All integers are little-endian.", "", "## Attributes", "",
         f"Service `{SPEC.service_uuid}`, advertised together with the name `{w['advertising']['name_prefix']}XXXX`.", "",
         "| characteristic | UUID | on the air (little-endian) | properties | security | |",
         "| --- | --- | --- | --- | --- | --- |"]
    o += [f"| {c.name} | `{c.uuid}` | `{c.uuid.bytes[::-1].hex()}` | {', '.join(c.properties)} | {c.security} | {c.doc} |"
          for c in SPEC.characteristics.values()]
    o += ["", "## Security", ""] + [f"- **{n}**: {s['doc']}" for n, s in w["security"].items()]
    o += ["", f"Pairing is accepted for {w['pairing']['window_s']} s after a press of the band's button; "
          f"{w['pairing']['failures_max']} failures close the window. Keys have {w['pairing']['key_bytes']} bytes. An access "
          f"without the security it needs is answered with ATT error 0x{w['security']['bonded']['att_error']:02x}.", "",
          "## Records", ""]
    for r in SPEC.records.values():
        o += [f"### {r.name}" + (f" (kind {r.kind})" if r.kind else ""), "", f"{r.doc} {r.size} bytes"
              + (" and more." if r.open_ended else "."), "", *_md_fields(r)]
    o += ["## Control operations", ""]
    for c in SPEC.control.values():
        o += [f"### {c.name} (op {c.op})", "", c.doc, ""]
        o += (["Response:", "", *_md_fields(c.response)] if c.response.fields else [])
    for title, groups, lead in (("Enumerations", SPEC.enums, ""), ("Flags", SPEC.flags, "bit ")):
        o += [f"## {title}", ""]
        for group, names in groups.items():
            o += [f"- **{group}**: " + ", ".join(f"{n} = {lead}{v}" for n, v in names.items())]
        o.append("")
    return "\n".join(o)


def outputs() -> dict[Path, str]:
    """Every generated file of the contract, as path relative to the root -> text."""
    return {C_DIR / "nb_wire_spec.h": wire_header(), C_DIR / "nb_features_spec.h": features_header(),
            C_DIR / "nb_bridge_spec.h": bridge_header(), Path("docs/wire.md"): wire_markdown()}


def main(argv: list[str] | None = None) -> int:
    """Write the files, or with --check print a diff and return 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=Path, default=Path("."))
    args = parser.parse_args(argv)
    stale = 0
    for path, text in outputs().items():
        target = args.root / path
        old = target.read_text("utf-8") if target.exists() else ""
        if old == text:
            continue
        stale += 1
        if args.check:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), str(path), "generated"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            print(f"wrote {path}")
    if args.check and stale:
        print(f"{stale} generated file(s) differ from the contract: run `make gen` and commit", file=sys.stderr)
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
