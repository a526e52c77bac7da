# Sourced by `scripts/test`: installs the A2A server that tests/real talks to, once, into an
# environment of its own: what it depends on is not to be beside what this library depends on.
# shellcheck shell=bash

a2a_packages=("a2a-sdk[http-server]==1.3.0" "uvicorn==0.54.0")

# ensure_a2a: .cache/a2a, an environment. Where it cannot be made it says so, and the tests that
# need it fail in CI and are skipped elsewhere, which they say, too.
ensure_a2a() {
    local folder="$root/.cache/a2a" python
    if [ "$(cat "$folder/.ready" 2>/dev/null)" = "${a2a_packages[*]}" ] &&
        "$folder/bin/python" -c 'import a2a' 2>/dev/null; then
        return 0
    fi
    python=$(find_python)
    mkdir -p "$root/.cache"
    if need_venv_module "$python" && "$python" -m venv --clear "$folder" &&
        retry "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
            --retries 5 --timeout 60 "${a2a_packages[@]}"; then
        echo "${a2a_packages[*]}" >"$folder/.ready"
    else
        echo "WARNING: no A2A server could be installed: its tests cannot run" >&2
    fi
}
