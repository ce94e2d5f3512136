#!/bin/sh
# sources.sh CACHE MAJOR VERSION: gets what the regression suite of PostgreSQL needs that no installed
# package has, and prints the directory it is in: the suite itself (`suite`) and its C functions (`lib`).
#
# The source package and the server's headers come through apt, in exactly the version that runs. It
# is a private apt: the machine's own sources with deb-src beside deb, its lists and files in the
# cache. Nothing is installed, nothing of the machine is changed, and root is not needed.

set -u

CACHE=$1
MAJOR=$2
VERSION=$3
SERVER=/usr/lib/postgresql/$MAJOR
PACKAGE=postgresql-$MAJOR
HEADERS=postgresql-server-dev-$MAJOR
READY=$CACHE/$PACKAGE-$VERSION

fail() {
    echo "regress: $*" >&2
    exit 1
}

# Where the machine's apt looks, for sources too.
private_sources() {
    mkdir -p "$APT/parts" "$APT/lists/partial" "$APT/cache/archives/partial" || return 1
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -r "$file" ] || continue
        to=$APT/parts/$(basename "$file")
        case $file in
            *.sources) sed 's/^Types:.*/Types: deb deb-src/' "$file" >"$to" ;;
            *.list) sed -n 's/^deb /deb-src /p; /^deb /p' "$file" >"$to" ;;
        esac
    done
}

private_apt() {
    command=$1
    shift
    "apt-$command" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$APT/parts" \
        -o Dir::State::lists="$APT/lists" -o Dir::Cache="$APT/cache" \
        -o APT::Sandbox::User=root "$@" >>"$WORK/log" 2>&1 && return
    cat "$WORK/log" >&2
    return 1
}

# Both packages, checked by apt, unpacked side by side.
fetch() {
    private_sources || fail "could not copy apt's sources"
    private_apt get update || fail "apt-get update failed"
    cd "$WORK" || exit 1
    private_apt get source --download-only "$PACKAGE=$VERSION" ||
        fail "apt has no source package $PACKAGE $VERSION (the version of the server that runs: upgrade that)"
    private_apt get download "$HEADERS=$VERSION" || fail "apt has no package $HEADERS $VERSION"
    tar xf "$PACKAGE"_*.orig.tar.* --strip-components=3 --wildcards '*/src/test/regress' ||
        fail "the source package has no src/test/regress"
    dpkg-deb -x "$HEADERS"_*.deb headers || fail "could not unpack $HEADERS"
}

# The functions that the tests load: their own, and two that Debian installs with the server.
build() {
    mkdir lib || exit 1
    include=headers/usr/include/postgresql
    cc -shared -fPIC -O1 -w -I"$include/$MAJOR/server" -I"$include/internal" -o lib/regress.so \
        regress/regress.c || fail "could not compile regress.c"
    for module in autoinc refint; do
        cp "$SERVER/lib/$module.so" lib/ || fail "$PACKAGE has no $module.so"
    done
}

[ -d "$READY" ] && echo "$READY" && exit 0
for program in apt-get dpkg-deb tar bzip2 cc; do
    command -v "$program" >/dev/null 2>&1 ||
        fail "$program is missing; the suite comes through apt, on Debian and its kin"
done

echo "==> getting the sources of PostgreSQL $VERSION (25 MB, once)" >&2
mkdir -p "$CACHE" || fail "could not make $CACHE"
WORK=$(mktemp -d "$CACHE/work.XXXXXX") || fail "could not write into $CACHE"
APT=$WORK/apt
trap 'rm -rf "$WORK"' EXIT
fetch
build
mkdir "$WORK/ready" && mv regress "$WORK/ready/suite" && mv lib "$WORK/ready/lib" &&
    mv "$WORK/ready" "$READY" || fail "could not fill $READY"
echo "$READY"
