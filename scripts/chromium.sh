# Sourced by `scripts/test`: installs the browser that tests/browser looks at the live page with.
# shellcheck shell=bash

# ensure_chromium: Debian's `chromium`, on the PATH. Where it cannot be installed it says so, and the
# tests that need it fail in CI and are skipped elsewhere, which they say, too.
ensure_chromium() {
    command -v chromium >/dev/null && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "WARNING: no chromium: the tests of the live page cannot run; install it" >&2
        return 0
    fi
    retry apt-get update
    # A font too: without one there is nothing to measure on a page.
    DEBIAN_FRONTEND=noninteractive retry apt-get install -y --no-install-recommends \
        chromium fonts-dejavu-core ||
        echo "WARNING: chromium could not be installed: the tests of the live page cannot run" >&2
}
