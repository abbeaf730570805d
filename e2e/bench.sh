#!/bin/bash
# Everything that docs/performance.md tells: bench.sh. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "## The whole road"
go run ./e2e/bench --bin bin
printf '\n## Signing through pkg/hsm beside a raw C_Sign loop\n\n'
go test -run '^$' -bench 'Sign' -benchtime "${BENCHTIME:-2s}" ./pkg/hsm
printf '\n## Writing to the ledger and the queue\n\n'
go test -run '^$' -bench . -benchtime "${BENCHTIME:-2s}" ./pkg/ledger ./pkg/job
printf '\n## Formats, policies, Artifactory edge\n\n'
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./pkg/seal ./pkg/verify ./pkg/policy ./pkg/artifactory ./webhook
printf '\n## Trust: certificate, time-stamp, judgement; the log, and its replay\n\n'
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./pkg/trust
go test -run '^$' -bench 'Append|Add' -benchtime "${BENCHTIME:-2s}" ./pkg/audit
HALLMARK_BENCH_ENTRIES=${HALLMARK_BENCH_ENTRIES:-1000000} go test -timeout 1h -run '^$' -bench 'Growth|Replay' -benchtime 1x -v ./pkg/audit
printf '\n## Verdicts of the gate, with nothing verified before and with the same bytes verified before\n\n'
go test -run '^$' -bench . -benchtime "${BENCHTIME:-2s}" ./pkg/gate
