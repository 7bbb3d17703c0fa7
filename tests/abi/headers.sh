#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# headers.sh INCLUDE: each plugin header alone as C99 and C++11, no padding.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for h in abi host challenge storage plugin kit; do
	echo "#include <acme/$h.h>" > "$dir/t.c"
	cp "$dir/t.c" "$dir/t.cc"
	cc -std=c99 -pedantic-errors -Wall -Wextra -Wpadded -Wconversion \
		-Wshadow -Wundef -Werror -I"$1" -c "$dir/t.c" -o "$dir/t.o"
	if command -v c++ > /dev/null; then
		c++ -std=c++11 -pedantic-errors -Wall -Wextra -Wpadded \
			-Wconversion -Wundef -Werror -I"$1" -c "$dir/t.cc" \
			-o "$dir/t.o"
	fi
done
