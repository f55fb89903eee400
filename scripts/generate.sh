#!/usr/bin/env bash
# Writes again what is generated from the code and committed: the OpenAPI
# document, and the TypeScript types that the pages take from it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=web/src/lib/api/openapi.json
new=$(mktemp)
trap 'rm -f "$new"' EXIT
go run ./scripts/openapi >"$new"
cp "$new" "$target"

cd web
[[ -d node_modules ]] || npm ci --no-audit --no-fund
npm run generate
