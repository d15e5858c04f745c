# syntax=docker/dockerfile:1
#
# The two images, for the platform that is asked for:
#
#     docker build --target agent    --tag REGISTRY/retina-agent:0.1.0 .
#     docker build --target operator --tag REGISTRY/retina-operator:0.1.0 .
#     docker buildx build --platform linux/amd64,linux/arm64 --target agent --sbom=true --provenance=mode=max --push …
#
# The build stage runs on the builder's own platform: eBPF objects are the same for both, and deno compiles for the other.
# Only the packages of the runtime stage are installed under emulation. Base images can be pinned by digest:
# --build-arg DEBIAN=debian:bookworm-slim@sha256:…

ARG DEBIAN=debian:bookworm-slim
ARG DENO=denoland/deno:bin-2.9.6

FROM --platform=$BUILDPLATFORM ${DENO} AS deno

FROM --platform=$BUILDPLATFORM ${DEBIAN} AS build
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates clang libbpf-dev linux-libc-dev llvm \
  && rm -rf /var/lib/apt/lists/*
COPY --from=deno /deno /usr/local/bin/deno
WORKDIR /src
COPY deno.json deno.lock main.ts operator.ts ./
COPY scripts scripts
COPY ffi ffi
COPY proto/gen proto/gen
COPY bpf bpf
COPY src src
ARG TARGETARCH
# A denort that was mounted into the build, where Deno's download server cannot be reached.
ARG DENORT_BIN
RUN --mount=type=cache,target=/deno-dir \
  case "$TARGETARCH" in \
    amd64) target=x86_64-unknown-linux-gnu ;; \
    arm64) target=aarch64-unknown-linux-gnu ;; \
    *) echo "No Deno for architecture '$TARGETARCH': expected amd64 or arm64" >&2; exit 1 ;; \
  esac \
  && DENO_DIR=/deno-dir deno task compile --frozen --target "$target"

FROM ${DEBIAN} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Retina for Deno" \
  org.opencontainers.image.licenses="MIT AND (GPL-2.0-only OR MIT)" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# V8 sizes its heap by the container's memory limit instead of the machine's memory.
ENV DENO_USE_CGROUPS=1

FROM runtime AS operator
LABEL org.opencontainers.image.title="retina-operator" \
  org.opencontainers.image.description="Tells agents which address belongs to which pod, service or node"
COPY --from=build /src/dist/retina-operator /usr/local/bin/retina-operator
USER 65532:65532
EXPOSE 9090 9091
ENTRYPOINT ["/usr/local/bin/retina-operator"]

FROM runtime AS agent
LABEL org.opencontainers.image.title="retina-agent" \
  org.opencontainers.image.description="Watches a node's network with eBPF and serves flows over Hubble's gRPC API"
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libbpf1 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/dist/retina-agent /usr/local/bin/retina-agent
# Loading eBPF programs asks for user 0; the chart takes all capabilities but three.
USER 0:0
EXPOSE 4244 10093
ENTRYPOINT ["/usr/local/bin/retina-agent"]
