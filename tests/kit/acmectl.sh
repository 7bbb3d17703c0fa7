#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# acmectl.sh ACMECTL RIGHT WRONG: `acmectl plugin check` on a plugin that is
# right and on one that calls done twice.
set -e
out=$("$1" plugin check "$2")
echo "$out"
echo "$out" | grep -q '^option: .*path PATH required'
echo "$out" | grep -q '^nothing was found'

rc=0
out=$("$1" plugin check "$3") || rc=$?
echo "$out"
[ $rc = 1 ]
echo "$out" | grep -q '^op-one-done: second done on present'

rc=0
"$1" plugin check "$2" --option pth=/tmp || rc=$?
[ $rc = 1 ]
