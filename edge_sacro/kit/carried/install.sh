#!/bin/sh
# Installs the kit that this file stands in; nothing of it is run before its signature is verified but install.pyz.
#
#   sh install.sh --key MAKER.pub [--prefix /opt/edge-sacro] [--config NODE.toml] [--systemd]   (--help lists all)
#
# Compare the kit's SHA-256 with its maker's before this: docs.html, "Offline kits". PYTHON names another interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
umask 022
exec "${PYTHON:-python3}" -I "$here/install.pyz" install "$here" "$@"
