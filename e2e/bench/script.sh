#!/bin/bash
# The way it is done without Hallmark: fetch, sign with cosign and the key in the HSM, store the bundle, set properties.
# Two at a time, because there are two cores. Called by the benchmark with everything in the environment.
set -euo pipefail
mkdir -p "$WORK"
export HEADER=$WORK/header # a token among the arguments would stand in the list of processes
(umask 077 && printf 'Authorization: Bearer %s\n' "$TOKEN" >"$HEADER")
sign() {
	local item=$REPO/loop/$(($1 % 50))/file-$1.bin file=$WORK/$1.bin
	curl -sSf -H @"$HEADER" -o "$file" "$BASE/$item"
	# SoftHSM now and then refuses two processes that open its files at one moment; a real script tries again too.
	local tries=0
	until "$COSIGN" sign-blob --yes --key "$KEY" --use-signing-config=false --tlog-upload=false --bundle "$file.sigstore.json" "$file" >/dev/null 2>"$file.log"; do
		tries=$((tries + 1))
		[ $tries -lt 5 ] || { cat "$file.log" >&2; return 1; }
	done
	curl -sSf -H @"$HEADER" -o /dev/null -T "$file.sigstore.json" "$BASE/$item.script.sigstore.json"
	curl -sSf -H @"$HEADER" -o /dev/null -X PUT "$BASE/api/storage/$item?properties=script.state=signed&recursive=0"
}
export -f sign
seq 0 $(($1 - 1)) | xargs -P 2 -I{} bash -c 'set -euo pipefail; sign {}'
