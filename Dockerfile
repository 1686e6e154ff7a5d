FROM node:24-trixie-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
COPY client/package.json client/
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
RUN npx tsc \
  && find dist src -type f ! -name '*.js' ! -name '*.lua' -delete \
  && find dist src -type d -empty -delete
# Of uWebSockets.js only the one binary that loads here stays; the last line proves that it does.
RUN npm uninstall --omit=dev uws-20.30 \
  && binary=uws_$(node -p '`${process.platform}_${process.arch}_${process.versions.modules}`').node \
  && find node_modules/uws-20.56 -name '*.node' ! -name "$binary" -delete \
  && find node_modules -type f \( -name '*.ts' -o -name '*.[cm]ts' -o -name '*.map' \) -delete \
  && find node_modules -type d -empty -delete \
  && node -p "require('./dist/src/gateway/uws.js').loadUws().version"

FROM node:24-trixie-slim
LABEL org.opencontainers.image.title="Throughline" \
  org.opencontainers.image.description="A real-time relay for web origins that cannot hold WebSockets open" \
  org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/src ./src
COPY --from=build /app/dist/src ./dist/src
# The official image's user without rights, by number, so that Kubernetes can tell that it is not root. The relay writes
# no file, so the root file system may be read-only.
USER 1000
# One container uses one core for its sockets: run more containers, or, on a large machine, set THROUGHLINE_WORKERS.
# WebSockets, the HTTP API, and the operator's port, which listens on loopback unless THROUGHLINE_ADMIN_LISTEN says otherwise.
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["node", "-e", "fetch('http://127.0.0.1:9090/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/src/cli.js"]
CMD ["serve"]
