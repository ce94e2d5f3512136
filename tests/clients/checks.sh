# What the suites in sh share. A check is a function; a command in it that fails makes it fail, and
# what it printed says why. Source this first.

failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check NAME COMMAND...
check() {
    name=$1
    shift
    why=$(set -eu; "$@" 2>&1)
    if [ $? -eq 0 ]; then
        echo "ok $name"
    else
        echo "not ok $name: $(echo "$why" | grep . | tail -n 2 | tr '\n' ' ' | cut -c 1-300)"
        failed=1
    fi
}

# The same where sessions keep so many connections to the server from each other, by transactions that
# are open at the same time, or by something that a session has to itself: check_needs COUNT NAME COMMAND...
check_needs() {
    count=$1
    shift
    if [ "${POOL:-100}" -lt "$count" ]; then
        echo "skip $1: needs $count connections to the server at a time, and the gate has $POOL"
    else
        check "$@"
    fi
}

# equal FOUND EXPECTED
equal() {
    [ "$1" = "$2" ] || { echo "$1 IS NOT $2"; return 1; }
}

# contains TEXT PART...: every part
contains() {
    text=$1
    shift
    for part in "$@"; do
        case $text in
            *"$part"*) ;;
            *) echo "$text LACKS $part"; return 1 ;;
        esac
    done
}

# fails CODE COMMAND...: prints what it says
fails() {
    expected=$1
    shift
    said=$("$@" 2>&1) && code=0 || code=$?
    echo "$said"
    equal "$code" "$expected"
}

# While TEXT waits for a signature somebody gives it: approving TEXT COMMAND...
approving() {
    marker=$1
    shift
    "$APPROVE" "$marker" >"$scratch/approved" 2>&1 &
    signer=$!
    code=0
    "$@" || code=$?
    wait "$signer" || { cat "$scratch/approved"; return 1; }
    return "$code"
}
