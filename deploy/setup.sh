#!/bin/sh
# Sees that everything is here to build and test, and installs what is not where apt-get can.
# With everything in place it is silent and takes no time. It changes nothing else: the
# PostgreSQL packages are kept from starting a server of their own while they are installed.

set -u

PG_LEAST=14
DROP_IN=/etc/postgresql-common/createcluster.d/portcullis-setup.conf

has() { command -v "$1" >/dev/null 2>&1; }

fail() {
    echo "setup: $*" >&2
    exit 1
}

# The grammar of PostgreSQL is built with bindgen, which loads libclang.
has_libclang() {
    for file in \
        "${LIBCLANG_PATH:-/nowhere}"/libclang*.so* "${LIBCLANG_PATH:-/nowhere}"/libclang.dylib \
        /usr/lib/libclang[.-]*so* /usr/lib64/libclang[.-]*so* /usr/lib/*/libclang[.-]*so* \
        /usr/lib/llvm*/lib/libclang[.-]*so* /usr/lib64/llvm*/lib*/libclang[.-]*so* \
        /usr/local/lib/libclang[.-]*so* \
        /opt/homebrew/opt/llvm*/lib/libclang.dylib /usr/local/opt/llvm*/lib/libclang.dylib \
        /Library/Developer/CommandLineTools/usr/lib/libclang.dylib \
        /Applications/Xcode.app/Contents/Developer/Toolchains/*/usr/lib/libclang.dylib
    do
        case "$file" in *libclang-cpp*) continue ;; esac
        [ -e "$file" ] && return 0
    done
    return 1
}

# Succeeds for a directory with a server that is new enough.
good_server() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
    major=$("$1/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
    [ -n "$major" ] && [ "$major" -ge "$PG_LEAST" ]
}

# The same places that the sandbox looks in (crates/portcullis/src/sandbox/binaries.rs).
has_server() {
    if [ -n "${PORTCULLIS_PG_BIN:-}" ]; then
        good_server "$PORTCULLIS_PG_BIN" && return 0
        fail "PORTCULLIS_PG_BIN=$PORTCULLIS_PG_BIN has no PostgreSQL $PG_LEAST or newer (initdb, postgres)"
    fi
    path=$(command -v postgres 2>/dev/null) && good_server "$(dirname "$path")" && return 0
    for directory in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin
    do
        good_server "$directory" && return 0
    done
    return 1
}

has_psql() {
    has psql && return 0
    for file in "${PORTCULLIS_PG_BIN:-/nowhere}"/psql /usr/lib/postgresql/*/bin/psql \
        /usr/pgsql-*/bin/psql /opt/homebrew/opt/postgresql@*/bin/psql \
        /usr/local/opt/postgresql@*/bin/psql
    do
        [ -x "$file" ] && return 0
    done
    return 1
}

# The words for what is missing, as Debian's package names.
missing() {
    has cc || echo gcc libc6-dev
    has make || echo make
    has_libclang || echo libclang-dev
    has_server || echo postgresql
    has_psql || echo postgresql-client
}

# Debian starts a cluster "main" with each new server package. It is not wanted: the sandbox makes
# its own. A drop-in says so for the time of the installation and then goes.
install_packages() {
    case " $packages " in
        *" postgresql "*)
            $as_root mkdir -p "$(dirname "$DROP_IN")" || return 1
            echo "create_main_cluster = false" | $as_root tee "$DROP_IN" >/dev/null || return 1
            trap '$as_root rm -f "$DROP_IN"' EXIT
            trap 'exit 130' INT TERM
            ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends $packages
}

has cargo || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] ||
    fail "cargo is missing: install Rust 1.95 or newer from https://rustup.rs, open a new terminal, and run this again"
has cargo ||
    fail "cargo is installed but not in PATH: run  . \"${CARGO_HOME:-$HOME/.cargo}/env\"  and then this again"

# A variable that names a wrong directory ends the script here, with its sentence.
packages=$(missing) || exit 1
packages=$(echo $packages)
[ -n "$packages" ] || exit 0

if ! has apt-get; then
    if has brew; then
        fail "missing: $packages. Install with: brew install postgresql@17 llvm (and xcode-select --install for cc and make)"
    elif has dnf; then
        fail "missing: $packages. Install with: sudo dnf install gcc make clang-devel postgresql-server postgresql"
    fi
    fail "missing: $packages (Debian's names): install a C compiler, make, libclang with its headers, PostgreSQL $PG_LEAST or newer with psql, and run this again"
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif has sudo && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    fail "missing: $packages. Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages"
fi

echo "==> installing $packages (one or two minutes)"
install_packages || fail "apt-get could not install: $packages"
packages=$(missing) || exit 1
[ -z "$packages" ] || fail "installed, and yet not found: $(echo $packages)"
echo "==> installed"
