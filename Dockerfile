FROM node:24-trixie-slim AS build
WORKDIR /throughline
COPY .npmrc package.json package-lock.json ./
# A development dependency by path: npm reads this one file of it. The image has no client; pages get it from their own site.
COPY client/package.json client/
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
RUN npx tsc \
  && find dist src -type f ! -name '*.js' ! -name '*.lua' -delete \
  && find dist src -type d -empty -delete
# Of uWebSockets.js only the one binary that loads here stays; the last line proves that it does. The bill of materials is
# made without devDependencies in package.json: with --omit=dev, npm leaves out what they have in common with the rest.
RUN npm uninstall --omit=dev uws-20.30 \
  && binary=uws_$(node -p '`${process.platform}_${process.arch}_${process.versions.modules}`').node \
  && find node_modules/uws-20.56 -name '*.node' ! -name "$binary" -delete \
  && npm pkg delete devDependencies && npm sbom --sbom-format cyclonedx --sbom-type application >sbom.cdx.json \
  && find node_modules -type f \( -name '*.ts' -o -name '*.[cm]ts' -o -name '*.map' \) -delete \
  && find node_modules -type d -empty -delete \
  && node -p "require('./dist/src/gateway/uws.js').loadUws().version"

# Debian and the one program of Node: no npm, no compiler, nothing that fetches.
FROM debian:trixie-slim
ARG REVISION
LABEL org.opencontainers.image.title="Throughline" \
  org.opencontainers.image.description="A real-time relay for web origins that cannot hold WebSockets open" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim" \
  throughline.sbom="/app/sbom.cdx.json"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /usr/local/bin/node /usr/local/bin/
COPY --from=build /throughline/package.json /throughline/sbom.cdx.json ./
COPY --from=build /throughline/node_modules ./node_modules
COPY --from=build /throughline/src ./src
COPY --from=build /throughline/dist/src ./dist/src
# A user without rights, by number, so that Kubernetes can tell that it is not root. The relay writes no file, so the root
# file system may be read-only.
USER 1000
# One container uses one core for its sockets: run more containers, or, on a large machine, set THROUGHLINE_WORKERS.
# WebSockets, the HTTP API, and the operator's port, which listens on loopback unless THROUGHLINE_ADMIN_LISTEN says otherwise.
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["node", "-e", "fetch('http://127.0.0.1:9090/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Process 1 is the relay itself, without an init before it: it takes SIGTERM, ends its workers and waits for each of them,
# and nothing here leaves orphans behind (deploy/check-image.sh looks for zombies).
ENTRYPOINT ["node", "/app/dist/src/cli.js"]
CMD ["serve"]
