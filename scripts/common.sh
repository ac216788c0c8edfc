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

# need_space GB: ends here where the checkout's disk has less free than that.
need_space() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge "$1" ] && return 0
  echo "$PWD: $free GB are free here; environments and what the tests write take $1 GB" >&2
  exit 1
}

# interpreter 3.10: the path of that Python, on the PATH or among pyenv's; nothing where there is none.
interpreter() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null || continue
    command -v "$candidate"
    return 0
  done
  return 1
}

# A supported Python that is here, 3.11 first, or the one that $PYTHON names.
find_python() {
  local version
  if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" && return 0
    echo "PYTHON=$PYTHON is not to be found" >&2
    return 1
  fi
  for version in 3.11 3.12 3.10; do
    interpreter "$version" && return 0
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
