#!/usr/bin/env bash
# Runs every check and every test, stage by stage. A stage that passes says one
# line; one that fails shows its whole output, and the others run all the same.
# The last line is the sum: "total: 812 passed, 0 failed". The exit code is 1
# when anything failed.
#
#   scripts/test.sh              everything
#   scripts/test.sh web browser  only these stages
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export PATH="$PATH:/usr/sbin:/sbin"

readonly stages=(install vet format staticcheck tidy build tests postgres race fuzz web generated browser)
# Where goroutines meet.
readonly racy=(./mqtt/... ./internal/ingest/... ./internal/live/... ./internal/store/...
  ./internal/registry/... ./internal/api/... ./internal/app/...)
readonly logs=$PWD/build/logs
readonly binary=$PWD/build/trefoil

# Each stage is a function. It may write "passed failed skipped" to $counts; a
# stage that does not is one check, passed or failed by its exit code.

install() { scripts/install.sh; }
vet() { go vet ./...; }
format() { empty "not formatted by gofumpt:" "$(.tools/gofumpt -l .)"; }
staticcheck() { .tools/staticcheck ./...; }
tidy() { go mod tidy -diff; }
build() { make --no-print-directory build; }

# Every test, with the real binary, foreign clients and brokers.
tests() { gotest -timeout 15m ./...; }

# The real binary again with PostgreSQL behind it, without the tests that are
# about files of SQLite or start servers of their own.
postgres() { E2E_STORE=postgres gotest -timeout 15m -skip 'FullDisk|SameData|Documents' ./test/e2e; }

# The packages with many goroutines again, under the race detector.
race() { gotest -race -timeout 15m $(existing "${racy[@]}"); }

# A slice of every fuzzer beyond its corpus, which the tests stage runs.
fuzz() {
  local package target failed=0 run=0
  for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
    for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
      run=$((run + 1))
      echo "== $package $target"
      go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-5s}" "$package" || failed=$((failed + 1))
    done
  done
  echo "$((run - failed)) $failed 0" >"$counts"
  ((failed == 0))
}

# The pages: types, tests, and that the committed build is that of the source.
web() {
  (
    cd web && npm ci --no-audit --no-fund && npm run check &&
      npm test -- --reporter=default --reporter=json --outputFile.json="$logs/vitest.json"
  )
  local status=$?
  if [[ -s $logs/vitest.json ]]; then
    node -p 'const r = require(process.argv[1]); [r.numPassedTests, r.numFailedTests, r.numPendingTests + r.numTodoTests].join(" ")' \
      "$logs/vitest.json" >"$counts"
  fi
  ((status == 0)) || return 1
  (cd web && npm run build) && unchanged web/dist "make web"
}

# The API description, the types that the pages take from it, documents.
generated() { scripts/generate.sh && unchanged "web/src/lib/api docs" "make generate"; }

# A real Chromium against the real binary.
browser() {
  (
    cd test/browser && npm ci --no-audit --no-fund &&
      BINARY_UNDER_TEST=$binary node --test --test-concurrency=1 \
        --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$logs/browser.tap"
  )
  local status=$?
  if [[ -s $logs/browser.tap ]]; then
    awk '/^# pass /{p=$3} /^# (fail|cancelled) /{f+=$3} /^# (skipped|todo) /{s+=$3} END{print p+0, f+0, s+0}' "$logs/browser.tap" >"$counts"
  fi
  return $status
}

# gotest runs go test and counts what it says.
gotest() {
  go test -json "$@" 2>&1 | go run ./scripts/tally -counts "$counts"
  return "${PIPESTATUS[1]}"
}

# existing prints those patterns whose directory is there.
existing() {
  local pattern
  for pattern in "$@"; do [[ -d ${pattern%/...} ]] && echo "$pattern"; done
}

# empty fails and shows the list if there is one.
empty() {
  [[ -z $2 ]] || { printf '%s\n%s\n' "$1" "$2"; return 1; }
}

# unchanged fails if the paths $1 differ from what is committed.
unchanged() {
  # shellcheck disable=SC2086 # a list of paths
  empty "differs from what is committed; run \`$2\` and commit it:" "$(git status --porcelain -- $1)"
}

run_stage() {
  local stage=$1 log=$logs/$1.log start=$SECONDS status=0
  counts=$logs/$stage.counts
  rm -f "$counts"
  "$stage" >"$log" 2>&1 </dev/null || status=1
  [[ -s $counts ]] || echo "$((1 - status)) $status 0" >"$counts"
  local p f s
  read -r p f s <"$counts"
  if ((status && f == 0)); then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  local verdict=passed
  if ((status)); then
    verdict=FAILED
    printf '\n======== %s ========\n' "$stage"
    cat "$log"
    printf '======== end of %s ========\n\n' "$stage"
  fi
  summary+=("$(printf '%-12s %-7s %5d passed %3d failed %3d skipped %5d s' "$stage" "$verdict" "$p" "$f" "$s" $((SECONDS - start)))")
  echo "${summary[-1]}"
}

main() {
  mkdir -p "$logs"
  local chosen=("$@") stage
  ((${#chosen[@]})) || chosen=("${stages[@]}")
  summary=() passed=0 failed=0 skipped=0
  for stage in "${chosen[@]}"; do
    [[ " ${stages[*]} " == *" $stage "* ]] || { echo "unknown stage $stage; there are: ${stages[*]}" >&2; exit 2; }
    run_stage "$stage"
  done
  printf '\nSummary\n'
  printf '  %s\n' "${summary[@]}"
  printf '\ntotal: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  ((failed == 0))
}

main "$@"
