#!/bin/bash
# Runs every fuzz target for a while: fuzz.sh 30s
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE --include='*_test.go' '^func Fuzz' . | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | while read -r _ target; do
		echo "== $target in $(dirname "$file")"
		# left to itself, go spends up to a minute making each find smaller, which is all of the while
		go test "$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "${1:-30s}" -fuzzminimizetime 10x
	done
done
