# Checks, tests and their tools; `make ci` runs everything that CI runs.

CARGO_TARGET_DIR ?= target
KUBERNETES := v1.36.3
MODULE := kube-tests/control-plane
BINARIES := $(CARGO_TARGET_DIR)/control-plane
PROMETHEUS := $(abspath $(CARGO_TARGET_DIR))/prometheus
HELM := $(abspath $(CARGO_TARGET_DIR))/helm
MUSL_TOOLS := $(abspath $(CARGO_TARGET_DIR))/musl
# Installed tools take precedence.
export PATH := $(PATH):$(PROMETHEUS)/usr/bin:$(HELM):$(MUSL_TOOLS)/usr/bin
# apt-get with its own lists and packages; it needs no root and does not change the system.
apt = apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Dir::State=$(1)/state -o Dir::Cache=$(1)/cache
ARCH := $(subst x86_64,amd64,$(subst aarch64,arm64,$(shell uname -m)))
MUSL := $(shell uname -m)-unknown-linux-musl
STATIC := $(CARGO_TARGET_DIR)/image/kube-devops-linux-$(ARCH)
# The profile of the static binary: release, or ci, which links in a fraction of the time.
PROFILE ?= release
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
IMAGE ?= kube-devops:$(VERSION)
BUILDER ?= docker
# Parallel enforcement tests; they mostly wait for patches to settle.
WAITING := 8
SERVERS := etcd kube-apiserver kube-controller-manager
# Additional binaries for a node.
NODE_SERVERS := kubelet kube-scheduler kube-proxy kubectl
NODE := kube-tests/real-node
NODE_FILES := $(abspath $(CARGO_TARGET_DIR))/real-node
# Debian or Ubuntu packages for a node, with libraries that some machines lack.
NODE_PACKAGES := containerd runc containernetworking-plugins nftables \
	libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 libbsd0 libmd0 libseccomp2 libxtables12
# The command that `make real-node` runs in the node's namespaces.
COMMAND ?= bash
# Parallel scenarios; they mostly wait.
NODE_TESTS := cargo test --locked --offline --test node -- --ignored --test-threads=12
# The rows that `make soak-node` runs.
ROWS ?= table::

etcd_PACKAGE := go.etcd.io/etcd/server/v3
kube-apiserver_PACKAGE := k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager_PACKAGE := k8s.io/kubernetes/cmd/kube-controller-manager
kubelet_PACKAGE := k8s.io/kubernetes/cmd/kubelet
kube-scheduler_PACKAGE := k8s.io/kubernetes/cmd/kube-scheduler
kube-proxy_PACKAGE := k8s.io/kubernetes/cmd/kube-proxy
kubectl_PACKAGE := k8s.io/kubernetes/cmd/kubectl

.PHONY: help control-plane prometheus helm pre-commit axe musl static image release-check FORCE node-parts real-node test-binaries test-node test-chart late-node soak-node
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

# Sets the version that every server reports. A plain `go build` reports v0.0.0, and clients adapt to that.
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

helm: $(HELM)/helm4 $(HELM)/helm3 ## Builds Helm 4 and Helm 3

$(HELM)/helm%: kube-tests/helm/go.mod kube-tests/helm/go.sum
	@command -v go >/dev/null || { echo "Helm is built with Go, which is missing" >&2; exit 1; }
	@mkdir -p $(HELM)
	CGO_ENABLED=0 go build -C kube-tests/helm -trimpath -ldflags "-s -w" -o $@ helm.sh/helm/v$*/cmd/helm
	@touch $@

musl: ## Fetches musl-gcc from the packages of Debian or Ubuntu, unless it is installed
	@command -v musl-gcc >/dev/null || { \
		command -v apt-get >/dev/null || { echo "musl-gcc is missing: install musl-tools" >&2; exit 1; }; \
		mkdir -p $(MUSL_TOOLS)/state/lists/partial $(MUSL_TOOLS)/cache/archives/partial && cd $(MUSL_TOOLS) && \
		echo "fetching musl-gcc" && $(call apt,$(MUSL_TOOLS)) update && \
		$(call apt,$(MUSL_TOOLS)) download musl musl-dev musl-tools && \
		for package in *.deb; do dpkg-deb -x "$$package" . && rm "$$package" || exit 1; done && \
		sed -i 's#/usr/\(lib\|include\)/#$(MUSL_TOOLS)&#g' usr/bin/musl-gcc usr/lib/*-linux-musl/musl-gcc.specs; \
	}

static: $(STATIC) ## Builds the static binary for the architecture of this machine

# jemalloc works with pages of up to the size that it was built for, and kernels for arm64 have pages of up to 64 KiB.
$(STATIC): FORCE | musl
	@rustup target add $(MUSL) >/dev/null 2>&1 || true
	$(if $(filter arm64,$(ARCH)),JEMALLOC_SYS_WITH_LG_PAGE=16) \
		cargo build --locked --profile $(PROFILE) --target $(MUSL)
	@mkdir -p $(@D)
	@cp $(CARGO_TARGET_DIR)/$(MUSL)/$(PROFILE)/kube-devops $@
FORCE:

image: static ## Builds the image IMAGE with the static binary, by BUILDER (docker, podman or buildah)
	$(BUILDER) build --file Dockerfile --tag $(IMAGE) --build-arg TARGETARCH=$(ARCH) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) $(dir $(STATIC))

release-check: static ## Checks what only a release has: a static binary under 20 MB compressed, and the workflow
	@! ldd $(STATIC) 2>&1 | grep -q '=>' || { echo "$(STATIC) is linked to libraries" >&2; exit 1; }
	$(STATIC) version
	$(STATIC) deploy generate-all | $(STATIC) analyze -f - -n kube-devops --fail-under 100
	@size=$$(gzip --stdout $(STATIC) | wc -c) && echo "$$size bytes compressed" && test $$size -lt 20000000
	cd kube-tests/actionlint && CGO_ENABLED=0 go tool actionlint $(abspath $(wildcard .github/workflows/*.yml))

PRE_COMMIT := $(abspath $(CARGO_TARGET_DIR))/pre-commit

pre-commit: ## Installs pre-commit from PyPI, for the tests of the hooks; without Python they are skipped
	@command -v pre-commit >/dev/null || test -x $(PRE_COMMIT)/bin/pre-commit || \
		{ python3 -m venv $(PRE_COMMIT) && $(PRE_COMMIT)/bin/pip --quiet install pre-commit==4.7.0; } || \
		echo "SKIPPED: pre-commit can't be installed" >&2

AXE := $(abspath $(CARGO_TARGET_DIR))/axe

axe: ## Fetches axe-core from npm, for the test of the HTML report; without npm or Chromium it is skipped
	@test -f $(AXE)/package/axe.min.js || \
		{ mkdir -p $(AXE) && cd $(AXE) && npm pack --silent axe-core@4.14.1 >/dev/null && \
			tar -xzf axe-core-4.14.1.tgz package/axe.min.js && rm axe-core-4.14.1.tgz; } || \
		echo "SKIPPED: axe-core can't be fetched" >&2

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

# A debug build: it is there already, and the node only cares about its behaviour.
$(NODE_FILES)/kube-devops.tar: FORCE
	cargo build --locked
	@strip -o $(NODE_FILES)/kube-devops $(CARGO_TARGET_DIR)/debug/kube-devops
	$(NODE)/image node.test/kube-devops:1 $(NODE_FILES)/kube-devops $@

node-parts: control-plane $(NODE_SERVERS:%=$(BINARIES)/%) $(NODE_FILES)/debian.done \
		$(NODE_FILES)/images/server.tar $(NODE_FILES)/images/pause.tar

# $(call on-node,TARGETS,COMMAND) makes the targets and runs a command in the namespaces of a node. If no node can run
# here, it prints a message and does neither.
export NODE_BINARIES := $(if $(KUBEBUILDER_ASSETS),$(abspath $(KUBEBUILDER_ASSETS)):)$(abspath $(BINARIES))
export NODE_FILES
define on-node
	@if reason=$$($(NODE)/node possible 2>&1); then \
		$(MAKE) --no-print-directory $(1) && $(NODE)/node run $(2); \
	else \
		printf '\n!!! SKIPPED: make %s: %s\n\n' '$@' "$$reason" >&2; \
	fi
endef

real-node: ## Starts a real Kubernetes node in its own namespaces, runs COMMAND there (default: a shell), and stops the node
	$(call on-node,node-parts,$(COMMAND))

test-binaries: # Built here, because the node's namespaces have no network
	cargo test --locked --test node --no-run

test-node: ## Runs the tests that need a real kubelet
	$(call on-node,node-parts test-binaries,$(NODE_TESTS) --skip late:: --skip lifetime:: --skip table:: && $(NODE_TESTS) lifetime::)

test-chart: export NODES := 2
test-chart: ## Installs, tests, upgrades and uninstalls the Helm chart on two real nodes
	$(call on-node,node-parts helm $(NODE_FILES)/kube-devops.tar,\
		$(NODE)/chart node.test/kube-devops:1 $(HELM)/helm4 $(NODE_FILES)/kube-devops.tar)

late-node: export NODES := 2
late-node: ## Runs the tests of harm long after a patch, and of workloads on two nodes; takes some 12 minutes
	$(call on-node,node-parts test-binaries,$(NODE_TESTS) late::)

soak-node: $(if $(filter table::,$(ROWS)),late-node)
soak-node: ## Runs late-node, then every server in every kind of workload, and prints a table; takes some 60 minutes
	$(call on-node,node-parts test-binaries,env KUBE_DEVOPS_SOAK=1 $(NODE_TESTS) --nocapture $(ROWS))

test: control-plane prometheus helm pre-commit axe ## Runs all tests, including those against a real control plane
	KUBE_DEVOPS_GO=1 cargo test --locked
	cargo test --locked --test cluster -- --ignored --skip enforcement::
	cargo test --locked --test cluster -- --ignored --test-threads=$(WAITING) enforcement::

soak: control-plane prometheus ## Runs the tests with as many random faults as docs/reliability.md states
	KUBE_DEVOPS_SOAK=1 cargo test --locked --release --test reviews -- --nocapture
	KUBE_DEVOPS_SOAK=1 cargo test --locked --test cluster -- --ignored --nocapture --test-threads=1 watch:: operator:: native:: webhook:: expressions::
	KUBE_DEVOPS_SOAK=1 cargo test --locked --test cluster -- --ignored --nocapture --test-threads=$(WAITING) enforcement::

fmt: ## Checks the formatting
	cargo fmt --check

clippy: ## Lints everything and fails on warnings
	cargo clippy --locked --all-targets -- -D warnings

deny: ## Checks the dependencies' licenses, sources and bans
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny@0.20.2" >&2; exit 1; }
	cargo deny check bans licenses sources

docs: ## Builds the API docs, including private items, and fails on broken links
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --locked
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --locked --document-private-items

# A debug build finds compile errors in a tenth of the time.
bench-build: ## Compiles the benchmarks
	cargo build --locked --benches

ci: fmt clippy deny docs test test-node test-chart bench-build ## Runs all of the above
	$(MAKE) release-check PROFILE=ci
