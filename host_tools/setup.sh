#!/bin/sh
# Sets up everything that a make target needs: Debian packages, .venv, pinned wheels. Usage: host_tools/setup.sh demo|all
# Exit status 2 and the exact line to run when a Debian package is missing and there is neither root nor sudo.
# Fast when nothing changed: a stamp in .venv names the pins that it was made from.
set -eu
cd "$(dirname "$0")/.."
what=${1:-demo}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }

case $what in
demo) pins=requirements-demo.txt; apt_wanted="gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm python3-venv libgl1 libglib2.0-0" ;;
all) pins=constraints.txt; apt_wanted="gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm python3-venv libgl1 libglib2.0-0 chromium clang-format" ;;
*) fail "usage: host_tools/setup.sh demo|all" ;;
esac

stamp=.venv/.installed-$what
key=$(cat "$pins" pyproject.toml host_tools/setup.sh | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/nociband ] && [ "$(cat $stamp 2>/dev/null)" = "$key" ]; then exit 0; fi

# --- Debian packages ---
missing=
for package in $apt_wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    line="apt-get update && apt-get install -y --no-install-recommends$missing"
    say "installing Debian packages:$missing"
    if [ "$(id -u)" = 0 ]; then
        run="sh -c"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        run="sudo sh -c"
    else
        fail "needs Debian packages; run as root:  $line"
    fi
    DEBIAN_FRONTEND=noninteractive $run "$line" >/tmp/nociband-apt.$$ 2>&1 || { tail -n 20 /tmp/nociband-apt.$$ >&2; fail "apt failed; run as root:  $line"; }
    rm -f /tmp/nociband-apt.$$
fi

# --- virtual environment ---
python=
for candidate in python3.11 python3; do
    if command -v $candidate >/dev/null && $candidate -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || fail "needs Python 3.11; on Debian 12 run as root:  apt-get install -y python3 python3-venv"
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    say "making .venv with $($python --version)"
    rm -rf .venv
    $python -m venv .venv
fi
uv_pin=$(grep '^uv==' constraints.txt)
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "${uv_pin#uv==}" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$uv_pin"
fi

# --- pinned wheels: the lists are complete, so that nothing is resolved ---
# torch comes as its CPU build: from the folder or page that pip was told of, else from PyTorch's own index (uv knows it).
torch=
if [ -n "${PIP_FIND_LINKS:-}" ]; then UV_FIND_LINKS=${UV_FIND_LINKS:-$PIP_FIND_LINKS}; export UV_FIND_LINKS; else torch=--torch-backend=cpu; fi
# Same settings as pip's, where the machine gives them.
if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then UV_DEFAULT_INDEX=$PIP_INDEX_URL; export UV_DEFAULT_INDEX; fi
if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then SSL_CERT_FILE=$PIP_CERT; export SSL_CERT_FILE; fi
say "installing $(grep -c == $pins) pinned packages ($pins)"
VIRTUAL_ENV=$PWD/.venv UV_LINK_MODE=${UV_LINK_MODE:-hardlink} .venv/bin/uv pip install --quiet --compile-bytecode --no-deps $torch -r "$pins"
VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet --no-deps -e .
echo "$key" >$stamp
if [ "$what" = all ]; then cat requirements-demo.txt pyproject.toml host_tools/setup.sh | sha256sum | cut -d' ' -f1 >.venv/.installed-demo; fi
say "done"
