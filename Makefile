# Every task of the repository. Go and Node must be there; `make test` installs
# whatever else the tests need.

GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
COMMIT      := $(shell git rev-parse --short HEAD 2>/dev/null)

.PHONY: help build demo test tools web generate fmt lint bench torture storm screenshots clean

help: ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

build: ## build the binary: build/trefoil
	go build -trimpath -ldflags '-s -w' -o build/trefoil ./cmd/trefoil

demo: ## start a server with a virtual fleet
	go run ./cmd/trefoil demo

test: ## install what is missing, then run every check and every test
	@scripts/test.sh

tools: .tools/gofumpt .tools/staticcheck ## install the pinned Go tools into .tools
.tools/gofumpt: Makefile
	@GOBIN=$(CURDIR)/.tools go install $(GOFUMPT) && touch $@
.tools/staticcheck: Makefile
	@GOBIN=$(CURDIR)/.tools go install $(STATICCHECK) && touch $@

web: ## build the pages that the binary embeds
	cd web && npm ci --no-audit --no-fund && npm run build

generate: ## write again what is generated from the code: API description and its types
	scripts/generate.sh

fmt: .tools/gofumpt ## format the Go code
	.tools/gofumpt -w .

lint: tools ## the checks of the Go code alone
	go vet ./... && .tools/gofumpt -l . && .tools/staticcheck ./...

bench: build ## measure, next to Mosquitto; ROUNDS=5 SECONDS=5 YARDSTICK=../shared/yardstick
	@BINARY_UNDER_TEST=build/trefoil ROUNDS=$(ROUNDS) SECONDS=$(SECONDS) YARDSTICK=$(YARDSTICK) go run ./test/bench

torture: build ## kill the server again and again under load, then look what is lost; ROUNDS=200
	@go run ./test/torture -binary build/trefoil $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(SEED),-seed $(SEED))

storm: build ## let 10,000 devices come back at once after a kill; DEVICES=10000
	@go run ./test/storm -binary build/trefoil $(if $(DEVICES),-devices $(DEVICES))

fuzz: ## a million wrong packets for the MQTT engine, then what the fuzzer finds; FUZZTIME=60s SEED=1
	go test ./mqtt -run MutatedPackets -v -args -packets=1000000 -seed=$(or $(SEED),1)
	go test ./mqtt -run '^$$' -fuzz FuzzSession -fuzztime $(or $(FUZZTIME),60s)
	go test ./mqtt/packet -run '^$$' -fuzz FuzzDecode -fuzztime $(or $(FUZZTIME),60s)
	go test ./mqtt/packet -run '^$$' -fuzz FuzzMatch -fuzztime $(or $(FUZZTIME),60s)

screenshots: build ## take the pictures of the documents again
	cd test/browser && npm ci --no-audit --no-fund && BINARY_UNDER_TEST=$(CURDIR)/build/trefoil node screenshots.mjs

clean: ## remove what was built
	rm -rf build
