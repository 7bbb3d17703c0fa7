#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# layout.sh PROGRAM GOLDEN: is the layout of the plugin ABI what it was?
# Lines may be added at the end of a struct, none may change or go.
if [ ! -f "$2" ]; then
	echo "no golden layout for this architecture ($2)"
	exit 77
fi
tmp=$(mktemp) || exit 1
trap 'rm -f "$tmp"' EXIT
"$1" > "$tmp" || exit 1
if diff -u "$2" "$tmp"; then
	exit 0
fi
echo "The layout of the plugin ABI changed. New members: append them to"
echo "$2. Anything else breaks every plugin."
exit 1
