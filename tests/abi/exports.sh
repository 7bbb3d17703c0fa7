#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# exports.sh FOLDER: each plugin exports its entry and nothing else.
bad=0
for so in "$1"/*.so; do
	names=$(nm -D --defined-only "$so" | awk '{ print $3 }' |
		grep -v '^__\(asan\|ubsan\|tsan\|sanitizer\|odr_asan\)' || true)
	if [ "$names" != acme_plugin_v0 ]; then
		echo "$so exports: $names"
		bad=1
	fi
done
exit $bad
