# What the tests of a host share: sourced by tests/hosts/*/run.sh from the root of the checkout.
#
# A host's script prints what it tested as its last line, `tested: LibTorch 1.13.0, ...`, and ends with 0; with 77 where a
# package cannot be had, its last line `skipped: why`; with anything else where a test failed.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/distill

# skip WHY...: ends the script of a host that cannot be had here.
skip() {
    echo "skipped: $*"
    exit 77
}

# virtual_environment NAME PACKAGE...: prints a Python that has these packages, and fails where it cannot be made. It is made once, in
# the cache, under a name that says what is in it.
virtual_environment() {
    local name=$1 home
    shift
    home=$cache/$name-$(printf '%s\n' "$@" | sha256sum | cut -c 1-12)-$(python3 -c 'import sys; print(sys.implementation.cache_tag)')
    mkdir -p "$home"
    (
        flock 9
        [ -e "$home/complete" ] || { python3 -m venv --clear "$home/python" &&
            "$home/python/bin/pip" install --no-input --disable-pip-version-check "$@" && touch "$home/complete"; }
    ) 9>"$home/lock" >"$home/install.log" 2>&1 || { tail -n 1 "$home/install.log" >&2; return 1; }
    echo "$home/python/bin/python"
}
