# The build stage may be any image with Go 1.26 and CA roots, Alpine or Debian.
ARG GO_IMAGE=golang:1.26-alpine

FROM ${GO_IMAGE} AS build
# Set it to build behind a module proxy of your own.
ARG GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# The program to build: the router, or a bot with kinds of its own.
ARG MAIN=./cmd/router
# Static, so that scratch can run it; time zones inside, because scratch has none.
RUN GOFLAGS=-buildvcs=false TAGS=timetzdata scripts/build /out/router ${MAIN} ${VERSION} \
 && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/router /router
# The shipped routes, so that the image runs as it is; mount your own folder over them.
COPY config/ /etc/signalbox/
# A new volume takes the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 /out/data /data
VOLUME /data
WORKDIR /data
# Beside the routes, where the file would be without it, nothing can be written.
ENV DATABASE_URL=sqlite:/data/signalbox.db
# Numeric: scratch has no user names, and Kubernetes can see that it isn't root.
USER 65532:65532
# No HEALTHCHECK: it would call a container ill whose configuration has no [http] to ask, or
# that runs another command. Where there is one, docker-compose.yml has it: /router health.
ENTRYPOINT ["/router"]
CMD ["run", "-c", "/etc/signalbox"]
