#!/bin/sh
# A client that looks things up only when it meets a type that it does not know: its suite in tests/clients makes it meet
# many. Whether its checks pass is not asked here.
cd "../clients/$(basename "$PLACE")" || exit
./run 2>"$SCRATCH/err" | grep '^version'
echo "did its suite in tests/clients; of that, only the look-up of types is here"
