#!/bin/sh
# The tour of psqlODBC, with the driver's libraries where its suite's setup has unpacked them.
LD_LIBRARY_PATH=$(echo "$PLACE"/usr/lib/*-linux-*)
export LD_LIBRARY_PATH
exec "$PLACE/bin/python" psqlodbc_tour.py
