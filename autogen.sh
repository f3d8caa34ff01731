#!/bin/sh
# autogen.sh - makes configure from configure.ac
# SPDX-License-Identifier: Apache-2.0
cd "$(dirname "$0")" && mkdir -p build-aux && exec autoreconf -fi
