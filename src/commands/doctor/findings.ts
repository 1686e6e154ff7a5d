interface Finding {
  /** A failure keeps the relay, or a promise of it, from working; a warning will sooner or later, or may. */
  readonly level: 'warn' | 'fail'
  /** What to do. */
  readonly remedy: string
}

/** Everything that the doctor may find, and what to do about it: docs/operate/doctor.md is held to this table. */
export const FINDINGS = {
  configuration_wrong: {
    level: 'fail',
    remedy:
      'Correct what the line names; a node would not start with it. `throughline serve --help` lists the variables.',
  },
  uws_missing: {
    level: 'fail',
    remedy:
      'Run Node 20 with glibc 2.27 or newer, or Node 22, 24 or 25 with glibc 2.38 or newer, or name a binary of your own in UWS_BINARY.',
  },
  somaxconn_small: {
    level: 'warn',
    remedy:
      'Let more connections wait to be taken: sysctl -w net.core.somaxconn=4096, and the same line in /etc/sysctl.d.',
  },
  files_few: {
    level: 'fail',
    remedy:
      'Raise the limit of open files of the service: LimitNOFILE=1048576 in its systemd unit, --ulimit nofile=1048576 for a container, or lower `connections` in THROUGHLINE_LIMITS.',
  },
  files_low: {
    level: 'warn',
    remedy:
      'Each connection is an open file. If more than so many are to come: LimitNOFILE=1048576 in the systemd unit, --ulimit nofile=1048576 for a container.',
  },
  port_taken: {
    level: 'fail',
    remedy: 'End what listens there (`ss -ltnp` tells what it is), or give the relay another address.',
  },
  port_privileged: {
    level: 'fail',
    remedy:
      'Ports below 1024 are reserved: choose a higher one behind a proxy, or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE.',
  },
  port_address: {
    level: 'fail',
    remedy: 'Listen on an address that this machine has (`ip addr` lists them), or on 0.0.0.0 or [::] for all.',
  },
  tls_expired: { level: 'fail', remedy: 'Renew the certificate; the relay takes a new one without a restart.' },
  tls_not_yet: { level: 'fail', remedy: "Set this machine's clock right, or wait until the certificate is good." },
  tls_expires: { level: 'warn', remedy: 'Renew the certificate, and find out why that did not happen by itself.' },
  tls_self_signed: {
    level: 'warn',
    remedy: "No browser trusts it: get one from an authority, such as Let's Encrypt, unless your clients are told to.",
  },
  tls_chain: {
    level: 'warn',
    remedy:
      "Put the whole chain into the file: the server's own certificate first, then each one that signed the one before (certbot's fullchain.pem).",
  },
  tls_name: { level: 'fail', remedy: 'Get a certificate that has the name by which clients connect.' },
  sites_none: {
    level: 'warn',
    remedy: 'Add one with `throughline site add`, or set THROUGHLINE_OPERATOR_JWKS for licences.',
  },
  sites_readable: {
    level: 'warn',
    remedy: 'The file holds secrets: chmod 640 it, and let it belong to the group that the relay runs as.',
  },
  key_guessable: {
    level: 'warn',
    remedy:
      'Make a random one with `throughline keys --alg HS256`, add it beside the old one, and take the old one out later.',
  },
  key_shared: {
    level: 'warn',
    remedy: 'Whoever has one of the two can speak for the other: give each a key of its own.',
  },
  origin_plain: {
    level: 'warn',
    remedy: 'Use https: for everything that is not on your own machine; take the origin out if nobody uses it.',
  },
  callback_plain: {
    level: 'warn',
    remedy: 'Use https:, as callbacks may go to http: only at addresses in THROUGHLINE_CALLBACK_ALLOW.',
  },
  callback_key_made: {
    level: 'warn',
    remedy:
      'Make one with `throughline keys --out FILE` and name it in THROUGHLINE_CALLBACK_KEY on every node, so that origins can rely on it whatever happens to Redis.',
  },
  redis_unreachable: {
    level: 'fail',
    remedy: 'Start Redis, or correct THROUGHLINE_BUS, `bind` in redis.conf, or the firewall between the two.',
  },
  redis_login: {
    level: 'fail',
    remedy:
      'Put user and password into THROUGHLINE_BUS, percent-encoded: redis://user:password@host. `ACL LIST` and `requirepass` tell what Redis expects.',
  },
  redis_old: { level: 'fail', remedy: 'Update Redis: 6 or newer, for a cluster 7 or newer (sharded pub/sub).' },
  redis_replica: {
    level: 'fail',
    remedy: 'Name the master: a replica cannot be written to. For a master that changes use redis+sentinel://.',
  },
  redis_evicts: {
    level: 'fail',
    remedy:
      'Set `maxmemory-policy noeviction`, in redis.conf too: evicted heads make every client ask its origin. Give other uses a Redis of their own.',
  },
  redis_may_evict: {
    level: 'warn',
    remedy: 'Set `maxmemory-policy noeviction`, in redis.conf too, before somebody sets `maxmemory`.',
  },
  redis_buffer_small: {
    level: 'fail',
    remedy:
      'Set `client-output-buffer-limit pubsub 32mb 8mb 60` or more: a node that is sent a part of 1 MiB would be cut off for it.',
  },
  redis_buffer_low: {
    level: 'warn',
    remedy:
      'Set `client-output-buffer-limit pubsub 32mb 8mb 60` or more: nodes that publish a lot at once would have the others cut off.',
  },
  redis_slowlog: {
    level: 'warn',
    remedy:
      'Set `slowlog-log-slower-than` to 10000 or more, or to -1: with less, events stand in the SLOWLOG with their content.',
  },
  redis_saving_fails: {
    level: 'warn',
    remedy:
      "Look at Redis' log and its disk: it may refuse all writes until it can save (`stop-writes-on-bgsave-error`).",
  },
  redis_slow: {
    level: 'warn',
    remedy:
      'Every publish waits for a round trip: put Redis near the nodes, and look for slow commands of others (`LATENCY DOCTOR`, `SLOWLOG GET`).',
  },
  redis_rights: {
    level: 'fail',
    remedy:
      'Give the user the rights that docs/operate/doctor.md lists, on keys and channels that begin with the prefix.',
  },
  redis_deaf: {
    level: 'fail',
    remedy:
      'Connect to Redis itself: a proxy between may not know pub/sub. The user needs the right to the channels, too.',
  },
  sentinel_master: {
    level: 'fail',
    remedy: 'Write the name as in `sentinel monitor NAME …`: redis+sentinel://host:port,host:port/NAME.',
  },
  sentinel_unreachable: { level: 'warn', remedy: 'Start that Sentinel, or take it out of THROUGHLINE_BUS.' },
  sentinel_disagrees: {
    level: 'fail',
    remedy:
      'Compare `SENTINEL master NAME` on each: until they agree, nodes may use two masters that know nothing of each other.',
  },
  sentinel_quorum: {
    level: 'warn',
    remedy:
      'Start the missing Sentinels, three in all on three machines: without a majority nobody makes a replica the master.',
  },
  cluster_slots: {
    level: 'fail',
    remedy:
      'Bring back the masters that are missing, or give their slots to others: `redis-cli --cluster check`, then `--cluster fix`.',
  },
  clock_redis: {
    level: 'fail',
    remedy:
      "Set both clocks by NTP (`timedatectl set-ntp true`, chrony): stamps come from Redis' clock, and eras need it within 1 s of the nodes'.",
  },
  clock_redis_drifts: {
    level: 'warn',
    remedy: 'Set both clocks by NTP; until then delivery latency is measured wrong by as much.',
  },
  clock_peer: {
    level: 'fail',
    remedy: 'Set both clocks by NTP: tokens and eras go by them.',
  },
  round_trip_failed: {
    level: 'fail',
    remedy:
      'Look up the code, if there is one, in docs/errors.md. If nothing came: the nodes behind --url and --api must share one Redis.',
  },
  callback_fails: {
    level: 'fail',
    remedy: 'Do what the line says; `throughline callback test --site ID` tells every step.',
  },
  no_answer: {
    level: 'fail',
    remedy: 'What this check asks does not answer: look whether it hangs, and at the network to it.',
  },
  check_failed: { level: 'fail', remedy: 'The check itself went wrong: please report this line.' },
} as const satisfies Readonly<Record<string, Finding>>

export type FindingName = keyof typeof FINDINGS
