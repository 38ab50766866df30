# isolayer: `make demo` shows the main job on a real image, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 5s
PACKAGES := internal/isotest/corpus/packages.txt internal/isotest/judges.txt
UNPACKED := internal/isotest/unpacked.txt
JUDGES   ?= $(or $(ISOLAYER_JUDGES),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/isolayer-judges)
# What lint needs is pinned apart, or it would decide versions of what the program is made
# of. Newer: go get -modfile=tools/tools.mod -tool mvdan.cc/gofumpt@latest
TOOL     := go tool -modfile=tools/tools.mod

.PHONY: build demo try deps unpacked lint unit fuzz judge left test soak hostile bench boot-matrix fmt clean

build: ## bin/isolayer, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/isolayer ./cmd/isolayer

demo: build ## rebuild a real image with a kickstart file, before and after
	./tools/demo.sh $(ISO)

try: build ## all judges on an image of yours: make try ISO=path/to.iso; writes try-report.md
	@./tools/try.sh "$(ISO)"

# The Debian packages that tests judge with. Without root the missing ones are
# named; their tests are then skipped, or fail where CI is set.
deps:
	@missing=$$(grep -hv '^#' $(PACKAGES) | while read -r p; do \
	  dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q 'ok installed' || echo "$$p"; done); \
	if [ -z "$$missing" ]; then $(MAKE) -s unpacked; exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "missing test tools; install with: sudo apt-get install $$(echo $$missing)"; $(MAKE) -s unpacked; exit 0; fi; \
	echo "== installing $$(echo $$missing)"; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -q >/dev/null; \
	apt-get install -y -q --no-install-recommends $$missing >/dev/null; $(MAKE) -s unpacked

# Packages that would change the machine if they were installed are unpacked into $(JUDGES).
# Where that cannot be done, their tests are skipped, or fail where CI is set.
unpacked:
	@for p in $$(grep -v '^#' $(UNPACKED)); do \
	  [ ! -d "$(JUDGES)/$$p" ] || continue; \
	  echo "== unpacking $$p into $(JUDGES)"; mkdir -p "$(JUDGES)"; \
	  tmp=$$(mktemp -d "$(JUDGES)/tmp.XXXXXX"); \
	  (cd "$$tmp" && apt-get download -q "$$p" >/dev/null 2>&1 && dpkg -x ./*.deb root && mv root "../$$p") || echo "no $$p"; \
	  rm -rf "$$tmp"; done

lint:
	@echo "== lint"
	go vet ./...
	GOOS=darwin go build ./...
	GOOS=windows go build ./...
	$(TOOL) staticcheck ./...
	@bad=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted (make fmt): $$bad"; exit 1; }
	go mod tidy -diff

unit: ## quick tests under the race detector
	@echo "== unit tests, race detector"
	go test -race -short ./...

# Go's fuzzer now and then takes the end of its own time for a failure. A finding leaves
# a failing input, or a panic.
fuzz: ## every fuzz target for FUZZTIME, two at a time
	@echo "== fuzz targets, $(FUZZTIME) each"
	@for dir in $$(grep -l '^func Fuzz' $$(git ls-files '*_test.go') | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do echo "$$dir $$f"; done; done | \
	  xargs -P 2 -L 1 bash -o pipefail -c 'out=$$(go test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x -parallel 1 ./$$0 2>&1) || grep -q "context deadline exceeded" <<<"$$out" && ! grep -q "Failing input\|panic:\|fatal error" <<<"$$out" || { echo "$$out"; exit 1; }; echo "$$0 $$1: $$(echo "$$out" | grep -o "execs: [0-9]*" | tail -n 1)"'

judge: ## everything, judged by other programs on real images
	@echo "== tests with reference tools"
	@cases=$$(mktemp -d); trap 'rm -rf "$$cases"' EXIT; \
	ISOLAYER_CASES=$$cases go test -timeout 60m ./...; \
	for where in guest nobody; do \
	  if [ -s "$$cases/$$where" ]; then echo "$$where: $$(cat "$$cases/$$where") cases"; \
	  else echo "$$where: not run: root or a tool is missing"; [ -z "$${CI:-}" ]; fi; done

left: ## the tests that are run in part only, or not at all, without make soak
	@echo "== left to make soak, whole or for the greater part (make boot-matrix, hostile and bench are apart):"
	@grep -l ISOLAYER_SOAK $$(git ls-files '*_test.go') | xargs awk '/^[[:space:]]*\/\// {next} /^func / {name = ""} /^func Test/ {sub(/^func /, ""); sub(/\(.*/, ""); name = $$0} /ISOLAYER_SOAK/ && name != "" {d = FILENAME; if (!sub(/\/[^\/]*$$/, "", d)) d = "."; print "  " d " " name; name = ""}' | sort -u

test: deps lint unit fuzz judge left

soak: deps ## the same for long: fuzzing, kills, random trees
	ISOLAYER_SOAK=1 go test -timeout 12h ./...
	tools/settings.sh -timeout=1h # what shows images, with and without root and FUSE
	$(MAKE) fuzz FUZZTIME=30m

boot-matrix: deps ## boots every layout in every way, see docs/boot-matrix.md
	go test -tags bootmatrix -count 1 -timeout 3h -run Matrix -v ./tools/bootmatrix

hostile: deps ## hostile images and failing system calls (needs strace) through every command, and how other programs fare: docs/robustness.md
	ISOLAYER_SOAK=1 go test -count 1 -timeout 1h -run 'TestHostileMatrix' -v ./cmd/isolayer
	go test -tags hostile -count 1 -timeout 3h -run 'TestPeers|TestQuirks|TestFaults' -v ./tools/hostile

bench: build deps ## times beside other programs, see docs/benchmarks.md
	go test -tags bench -count 1 -timeout 3h -run TestBench -v ./tools/bench

fmt:
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

clean:
	rm -rf bin
