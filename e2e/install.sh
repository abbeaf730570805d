#!/bin/bash
# Makes sure that the named programs are on this machine: install.sh PROGRAM...
# Installs their Debian packages when root or sudo allows it; otherwise says exactly what to install and fails.
set -euo pipefail

package_of() {
	case $1 in
	softhsm2-util) echo softhsm2 ;;
	postgres) echo postgresql ;;
	node) echo nodejs ;;
	*) echo "$1" ;;
	esac
}

present() {
	case $1 in
	postgres) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing=()
for program in "$@"; do
	present "$program" || missing+=("$(package_of "$program")")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
	as=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as=(sudo)
else
	echo "These Debian packages are missing and need root to install. Run:" >&2
	echo "  sudo apt-get update && sudo apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
