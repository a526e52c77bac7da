# Sourced by `scripts/test`: installs the OpenCode server that tests/real and the conformance suite
# talk to, once, into a folder that git ignores.
# shellcheck shell=bash

opencode_package=opencode-linux-x64
opencode_version=1.18.33

# need_npm: the binary comes as an npm package; Debian has npm.
need_npm() {
    command -v npm >/dev/null && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    retry apt-get update
    DEBIAN_FRONTEND=noninteractive retry apt-get install -y --no-install-recommends npm
}

# ensure_opencode: .cache/opencode/node_modules/opencode-linux-x64. Where it cannot be installed it
# says so, and the tests that need it fail in CI and are skipped elsewhere, which they say, too.
ensure_opencode() {
    local folder="$root/.cache/opencode" manifest version
    manifest="$folder/node_modules/$opencode_package/package.json"
    if [ -f "$manifest" ] && grep -q "\"version\": \"$opencode_version\"" "$manifest"; then
        return 0
    fi
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo "WARNING: no OpenCode server for $(uname -sm): its tests cannot run" >&2
        return 0
    fi
    if ! need_npm; then
        echo "WARNING: no npm, so no OpenCode server: its tests cannot run; install npm" >&2
        return 0
    fi
    version=$opencode_package@$opencode_version
    mkdir -p "$folder"
    retry npm install --prefix "$folder" --ignore-scripts --no-save --no-audit --no-fund \
        --loglevel=error "$version" ||
        echo "WARNING: $version could not be installed: its tests cannot run" >&2
}
