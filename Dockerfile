# syntax=docker/dockerfile:1
# Debian, not a static base: vendors' PKCS#11 modules are shared objects that need glibc and dlopen.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=development
RUN CGO_ENABLED=1 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/hallmark ./cmd/hallmark

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/hallmark --create-home hallmark
COPY --from=build /out/hallmark /usr/local/bin/hallmark
USER 10001
WORKDIR /var/lib/hallmark
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/hallmark"]
CMD ["serve", "--config", "/etc/hallmark/hallmark.yaml"]
