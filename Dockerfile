# The runtime image (the last stage), and the image `dev` for tests. docs/deployment.md explains both.
#
# The image has no HEALTHCHECK, because it contains no program except Tollgate. The container platform can request /readyz
# and /livez on port 8787.

# Manifests with empty sources. This stage changes only if a dependency or its flags change.
FROM rust:1.95.0-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path './.cargo/config.toml' \
        ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/benches/*.rs' ! -path './e2e/tests/it/main.rs' -delete \
    && find . -name '*.rs' -exec sh -c 'for file; do case $file in */lib.rs) : ;; *) echo "fn main() { }" ;; esac >"$file"; done' stub {} +

# The pages of the dashboard, compressed and listed for the binary.
FROM node:22.21.1-bookworm-slim AS pages
ENV NEXT_TELEMETRY_DISABLED=1
WORKDIR /src/dashboard
COPY dashboard/package.json dashboard/package-lock.json dashboard/.npmrc ./
RUN npm ci --ignore-scripts
COPY docs/openapi.json /src/docs/openapi.json
COPY dashboard .
RUN npm run build

FROM rust:1.95.0-bookworm AS build
# Selects the installed toolchain, because rust-toolchain.toml requires components that a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
# The version of release.yml.
RUN cargo install cargo-auditable --version 0.7.7 --locked
# The dependencies, in a layer that stays valid when only sources change.
COPY --from=manifests /src .
RUN cargo auditable build --release --locked --package tollgate --package api
COPY . .
COPY --from=pages /src/dashboard/out dashboard/out
# Sources may be older than the empty ones that were built above, so their times are updated.
RUN find crates -name '*.rs' -exec touch {} + && cargo auditable build --release --locked --package tollgate --package api && mkdir /empty

# Rust and the programs that tests need: PostgreSQL, Redis, Chromium, and Python for the official clients and Node.
FROM rust:1.95.0-bookworm AS dev
# The versions are those of the release of Debian that the base image has.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium dash pgbouncer postgresql python3 python3-pip python3-venv redis-server shellcheck \
    && rm -rf /var/lib/apt/lists/* \
    && rustup component add rustfmt clippy
WORKDIR /src
CMD ["bash"]

FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
COPY --from=build /src/target/release/tollgate /src/target/release/api /usr/local/bin/
COPY --from=build --chown=65532:65532 /empty /var/lib/tollgate
ENV TOLLGATE_LISTEN=0.0.0.0:8080 \
    TOLLGATE_CONTROL__LISTEN=0.0.0.0:8787 \
    TOLLGATE_DATA=/var/lib/tollgate \
    TOLLGATE_LOG__FORMAT=json
EXPOSE 8080 8787
VOLUME ["/var/lib/tollgate"]
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tollgate"]
CMD ["serve"]
