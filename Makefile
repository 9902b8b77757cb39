# What is checked and how; `make ci` is all that CI runs.

CARGO_TARGET_DIR ?= target
KUBERNETES := v1.36.3
MODULE := kube-tests/control-plane
BINARIES := $(CARGO_TARGET_DIR)/control-plane
PROMETHEUS := $(abspath $(CARGO_TARGET_DIR))/prometheus
# What is installed comes first.
export PATH := $(PATH):$(PROMETHEUS)/usr/bin
# apt-get with lists and packages of its own: it needs no root, and leaves the system as it is.
apt = apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Dir::State=$(1)/state -o Dir::Cache=$(1)/cache
# How many tests of enforcement run at a time: they mostly wait for patches to settle.
WAITING := 6
SERVERS := etcd kube-apiserver kube-controller-manager
# A node runs these besides.
NODE_SERVERS := kubelet kube-scheduler kube-proxy kubectl
NODE := kube-tests/real-node
NODE_FILES := $(abspath $(CARGO_TARGET_DIR))/real-node
# What a node needs of Debian or Ubuntu, with the libraries that not every machine has.
NODE_PACKAGES := containerd runc containernetworking-plugins nftables \
	libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 libbsd0 libmd0 libseccomp2 libxtables12
# What `make real-node` runs in the node's namespaces.
COMMAND ?= bash
# Scenarios mostly wait.
NODE_TESTS := cargo test --locked --offline --test node -- --ignored --test-threads=12
# Which rows `make soak-node` runs.
ROWS ?= table::

etcd_PACKAGE := go.etcd.io/etcd/server/v3
kube-apiserver_PACKAGE := k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager_PACKAGE := k8s.io/kubernetes/cmd/kube-controller-manager
kubelet_PACKAGE := k8s.io/kubernetes/cmd/kubelet
kube-scheduler_PACKAGE := k8s.io/kubernetes/cmd/kube-scheduler
kube-proxy_PACKAGE := k8s.io/kubernetes/cmd/kube-proxy
kubectl_PACKAGE := k8s.io/kubernetes/cmd/kubectl

.PHONY: help control-plane prometheus node-parts real-node test-binaries test-node soak-node
.PHONY: test soak fmt clippy deny docs bench-build ci
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
		echo "fetching prometheus" && $(call apt,$(PROMETHEUS)) update && $(call apt,$(PROMETHEUS)) download prometheus && \
		dpkg-deb -x prometheus_*.deb . && prometheus --version >/dev/null && promtool --version >/dev/null; \
	}

# The packages are unpacked, not installed.
$(NODE_FILES)/debian.done: Makefile
	@command -v apt-get >/dev/null || { echo "containerd is fetched by apt-get, which is missing" >&2; exit 1; }
	@rm -rf $(NODE_FILES)/debian
	@mkdir -p $(NODE_FILES)/debian/state/lists/partial $(NODE_FILES)/debian/cache/archives/partial
	@cd $(NODE_FILES)/debian && echo "fetching containerd" && \
		$(call apt,$(NODE_FILES)/debian) update && $(call apt,$(NODE_FILES)/debian) download $(NODE_PACKAGES) && \
		for package in *.deb; do dpkg-deb -x "$$package" . && rm "$$package" || exit 1; done
	@touch $@

$(NODE_FILES)/server: $(wildcard $(NODE)/server/*)
	CGO_ENABLED=0 go build -C $(NODE)/server -trimpath -ldflags "-s -w" -o $@ .

$(NODE_FILES)/images/server.tar: $(NODE_FILES)/server $(NODE)/image
	$(NODE)/image node.test/server:1 $< $@

$(NODE_FILES)/images/pause.tar: $(NODE_FILES)/server $(NODE)/image
	$(NODE)/image node.test/pause:1 $< $@ pause

node-parts: control-plane $(NODE_SERVERS:%=$(BINARIES)/%) $(NODE_FILES)/debian.done \
		$(NODE_FILES)/images/server.tar $(NODE_FILES)/images/pause.tar

# $(call on-node,TARGETS,COMMAND): makes the targets, and runs a command in the namespaces of a node; where no node can
# run, it does neither, and says so.
export NODE_BINARIES := $(if $(KUBEBUILDER_ASSETS),$(abspath $(KUBEBUILDER_ASSETS)):)$(abspath $(BINARIES))
export NODE_FILES
define on-node
	@if reason=$$($(NODE)/node possible 2>&1); then \
		$(MAKE) --no-print-directory $(1) && $(NODE)/node run $(2); \
	else \
		printf '\n!!! SKIPPED: make %s: %s\n\n' '$@' "$$reason" >&2; \
	fi
endef

real-node: ## Starts a real Kubernetes in namespaces of its own, for as long as COMMAND runs in them: a shell
	$(call on-node,node-parts,$(COMMAND))

test-binaries: # Cargo finds them built in the node's namespaces, which lead nowhere
	cargo test --locked --test node --no-run

test-node: ## Runs the tests that need a real kubelet
	$(call on-node,node-parts test-binaries,$(NODE_TESTS) --skip lifetime:: --skip table:: && $(NODE_TESTS) lifetime::)

soak-node: ## Runs every server in every kind of workload, and prints a table; some 60 minutes
	$(call on-node,node-parts test-binaries,env KUBE_DEVOPS_SOAK=1 $(NODE_TESTS) --nocapture $(ROWS))

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

ci: fmt clippy deny docs test test-node bench-build ## Runs all of the above
