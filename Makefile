# What is checked and how; `make ci` is all that CI runs.

CARGO_TARGET_DIR ?= target
KUBERNETES := v1.36.3
MODULE := kube-tests/control-plane
BINARIES := $(CARGO_TARGET_DIR)/control-plane
PROMETHEUS := $(abspath $(CARGO_TARGET_DIR))/prometheus
# What is installed comes first.
export PATH := $(PATH):$(PROMETHEUS)/usr/bin
# apt-get with lists and packages of its own: it needs no root, and leaves the system as it is.
APT := apt-get -qq -o Acquire::Retries=3 -o Dir::State=$(PROMETHEUS)/state -o Dir::Cache=$(PROMETHEUS)/cache
# How many tests of enforcement run at a time: they mostly wait for patches to settle.
WAITING := 6
SERVERS := etcd kube-apiserver kube-controller-manager

etcd_PACKAGE := go.etcd.io/etcd/server/v3
kube-apiserver_PACKAGE := k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager_PACKAGE := k8s.io/kubernetes/cmd/kube-controller-manager

.PHONY: help control-plane prometheus test soak fmt clippy deny docs bench-build ci
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

control-plane: ## Builds etcd, kube-apiserver and kube-controller-manager, unless KUBEBUILDER_ASSETS has them
ifeq ($(KUBEBUILDER_ASSETS),)
control-plane: $(SERVERS:%=$(BINARIES)/%)
else
	@echo "the servers are those in $(KUBEBUILDER_ASSETS)"
endif

# Every server says which Kubernetes it is; a plain `go build` leaves v0.0.0, and clients adapt to that.
$(BINARIES)/%: $(MODULE)/go.mod $(MODULE)/go.sum
	@command -v go >/dev/null || { echo "the control plane is built with Go: install go, or set KUBEBUILDER_ASSETS" >&2; exit 1; }
	@mkdir -p $(BINARIES)
	CGO_ENABLED=0 go build -C $(MODULE) -trimpath -o $(abspath $@) \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$(KUBERNETES)" $($*_PACKAGE)
	@touch $@

prometheus: ## Fetches Prometheus and promtool from the packages of Debian or Ubuntu, unless they are installed
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { \
		command -v apt-get >/dev/null || { \
			echo "prometheus and promtool are missing: install Prometheus, and let PATH lead to both" >&2; exit 1; \
		}; \
		mkdir -p $(PROMETHEUS)/state/lists/partial $(PROMETHEUS)/cache/archives/partial && cd $(PROMETHEUS) && \
		echo "fetching prometheus" && $(APT) update && $(APT) download prometheus && \
		dpkg-deb -x prometheus_*.deb . && prometheus --version >/dev/null && promtool --version >/dev/null; \
	}

test: control-plane prometheus ## Runs all tests, those against a real control plane too
	KUBE_DEVOPS_GO=1 cargo test --locked
	cargo test --locked --test cluster -- --ignored --skip enforcement::
	cargo test --locked --test cluster -- --ignored --test-threads=$(WAITING) enforcement::

soak: control-plane prometheus ## Runs the tests with as many random faults as docs/reliability.md speaks of
	KUBE_DEVOPS_SOAK=1 cargo test --locked --test cluster -- --ignored --nocapture --test-threads=1 watch:: operator::
	KUBE_DEVOPS_SOAK=1 cargo test --locked --test cluster -- --ignored --nocapture --test-threads=$(WAITING) enforcement::

fmt: ## Checks the formatting
	cargo fmt --check

clippy: ## Lints everything, and allows no warning
	cargo clippy --locked --all-targets -- -D warnings

deny: ## Checks the dependencies' licenses, sources and bans
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny@0.20.2" >&2; exit 1; }
	cargo deny check bans licenses sources

docs: ## Builds the API docs, private items too, and allows no broken link
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --locked
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --locked --document-private-items

# Not optimized: whether they compile shows in a tenth of the time.
bench-build: ## Compiles the benchmarks
	cargo build --locked --benches

ci: fmt clippy deny docs test bench-build ## Runs all of the above
