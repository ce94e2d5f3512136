#!/bin/sh
# Compiles the tour of pgjdbc beside the driver and runs it.
set -e
jar=$PLACE/usr/share/java/postgresql.jar
javac -cp "$jar" -d "$SCRATCH" Tour.java
exec java -cp "$jar:$SCRATCH" Tour
