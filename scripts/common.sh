# Sourced by scripts/demo and scripts/test: a virtual environment of the checkout's own, made on any Debian or Ubuntu.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# Installs Debian packages where this is root and they are missing; else says what a person with rights would type.
debian_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "not installed: ${missing[*]} (as root: apt-get install ${missing[*]})"
  fi
}

# The newest Python from 3.10 to 3.12 that starts, or the one that $PYTHON names.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.12 python3.11 python3.10 python3}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  echo "Python 3.10, 3.11 or 3.12 is needed (PYTHON=/path/to/python names one)" >&2
  return 1
}

# make_venv FOLDER PYTHON: an environment that exists and works is kept.
make_venv() {
  if ! "$1/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$1"
    if ! "$2" -m venv "$1" 2>/dev/null; then
      debian_packages python3-venv
      rm -rf "$1"
      "$2" -m venv "$1"
    fi
  fi
}

pip_install() { "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"; }
