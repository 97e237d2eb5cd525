#!/usr/bin/env bash
# The entry point of bitnami/kafka: runs the command it is given.
set -o errexit
if [ $# -eq 0 ]; then set -- /opt/bitnami/scripts/kafka/run.sh; fi
exec "$@"
