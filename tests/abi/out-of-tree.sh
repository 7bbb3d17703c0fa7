#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# out-of-tree.sh BUILD HELLO LOAD: installs the headers into a folder of its own,
# builds a copy of the example against nothing else, by the CMake package and by
# pkg-config, and loads both.
set -e
umask 022
dir=$(mktemp -d /tmp/acme-abi.XXXXXX)
trap 'rm -rf "$dir"' EXIT
unset PKG_CONFIG_PATH CMAKE_PREFIX_PATH

DESTDIR=$dir/root cmake --install "$1/include" > "$dir/install.log" ||
	{ cat "$dir/install.log"; exit 1; }
pc=$(find "$dir/root" -name acme-agent-plugin.pc)
prefix=$(dirname "$(find "$dir/root" -type d -name include)")
cp -R "$2" "$dir/hello"

echo "CMake package"
cmake -S "$dir/hello" -B "$dir/build" -DCMAKE_PREFIX_PATH="$prefix" \
	> "$dir/cmake.log" 2>&1 || { cat "$dir/cmake.log"; exit 1; }
grep -q "acme-agent_DIR:PATH=$dir" "$dir/build/CMakeCache.txt"
cmake --build "$dir/build" > "$dir/cmake.log" 2>&1 ||
	{ cat "$dir/cmake.log"; exit 1; }
"$3" "$dir/build" hello

echo "pkg-config"
flags=$(PKG_CONFIG_LIBDIR=$(dirname "$pc") pkg-config --cflags acme-agent-plugin)
case $flags in
*"$dir"*) ;;
*) echo "flags lead elsewhere: $flags"; exit 1 ;;
esac
mkdir "$dir/so"
# shellcheck disable=SC2086
cc -shared -fPIC -fvisibility=hidden -Wl,-z,defs -Wall -Wextra -Werror $flags \
	-o "$dir/so/hello.so" "$dir/hello/hello.c"
"$3" "$dir/so" hello
