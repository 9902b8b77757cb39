# The image of a release: the static binary for the platform, and nothing else. `make image` builds it.
FROM scratch
ARG TARGETARCH
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="kube-devops" \
      org.opencontainers.image.description="Kubernetes governance: one health score, what to fix first, and fixes that are safe" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --chmod=755 kube-devops-linux-${TARGETARCH} /kube-devops
USER 65532:65532
ENTRYPOINT ["/kube-devops"]
