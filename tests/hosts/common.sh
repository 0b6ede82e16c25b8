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
