#!/usr/bin/env bash
exec /etc/kafka/docker/configure
