# Sourced by the scripts beside it: makes the repository's own `.venv`, or re-uses it.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv # a script may name another place

# retry COMMAND...: three attempts, since registries have bad moments.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        echo "attempt $attempt of 3 failed: $*" >&2
        sleep "$((attempt * 5))"
    done
    return 1
}

# find_python: prints the first interpreter that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    echo "rxtasks needs Python 3.11 or later; set PYTHON to one" >&2
    return 1
}

# need_venv_module PYTHON: Debian ships the venv module in a package of its own.
need_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "$1 cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
        return 1
    fi
    retry apt-get update
    DEBIAN_FRONTEND=noninteractive retry apt-get install -y --no-install-recommends python3-venv
}

# ensure_venv EXTRAS [any|same [PIP-ARGUMENT...]]: `$venv` with this package (editable) and its
# extras. It is made anew when pyproject.toml, its place or PYTHON has changed, or the extras differ
# (`any`: whatever they are).
ensure_venv() {
    local extras=$1 which=${2:-same} python digest ready="$venv/.ready"
    digest=$({ echo "$root ${PYTHON:-}" && cat "$root/pyproject.toml"; } | sha256sum | cut -d ' ' -f 1)
    if [ -f "$ready" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        case "$(cat "$ready")" in
            "$digest $extras") return 0 ;;
            "$digest "*) [ "$which" = any ] && return 0 ;;
        esac
    fi
    if [ -L "$venv" ]; then
        echo "$venv is a link, and what it leads to was made for something else: remove the link" >&2
        return 1
    fi
    python=$(find_python)
    need_venv_module "$python"
    echo "making the environment $venv: once, for some 20 seconds" >&2
    # What somebody else has made there is completed, not emptied.
    if [ -f "$ready" ]; then
        "$python" -m venv --clear "$venv"
    else
        "$python" -m venv "$venv"
    fi
    retry "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --retries 5 --timeout 60 --editable "$root[$extras]" "${@:3}"
    echo "$digest $extras" >"$ready"
}
