# Sourced by `scripts/test`: installs the Redis server that the tests of the hub start, each its own.
# shellcheck shell=bash

# ensure_redis: redis-server, from Debian. Where it cannot be installed it says so, and the tests
# that need it fail in CI and are skipped elsewhere, which they say, too.
ensure_redis() {
    command -v redis-server >/dev/null && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "WARNING: no redis-server: its tests cannot run; install redis-server" >&2
        return 0
    fi
    retry apt-get update
    # Only the program is needed: nothing is to be started as a service.
    DEBIAN_FRONTEND=noninteractive retry apt-get install -y --no-install-recommends redis-server ||
        echo "WARNING: redis-server could not be installed: its tests cannot run" >&2
}
