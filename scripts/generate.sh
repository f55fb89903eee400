#!/usr/bin/env bash
# Writes again what is generated from the code and committed: the OpenAPI
# document, the TypeScript types that the pages take from it, and the table of
# settings in the documents.
set -euo pipefail
cd "$(dirname "$0")/.."

target=web/src/lib/api/openapi.json
new=$(mktemp)
trap 'rm -f "$new"' EXIT
go run ./scripts/openapi >"$new"
cp "$new" "$target"

go run ./scripts/settings docs/configuration.md

cd web
[[ -d node_modules ]] || npm ci --no-audit --no-fund
npm run generate
