interface Words {
  /** What is wrong, for whoever runs the site. */
  readonly says: string
  readonly remedy: string
}

/** What keeps callbacks from a site, by a name that stays. docs/callbacks.md has them all. */
export const CULPRITS = {
  dns: {
    says: 'the name in callback.url has no address',
    remedy: 'Check callback.url for a slip. If the domain is new or was moved, its DNS records may need some hours.',
  },
  address_refused: {
    says: 'the address is not one that callbacks may go to',
    remedy:
      'Use a public https:// address, or ask the operator of the relay to allow this one (THROUGHLINE_CALLBACK_ALLOW).',
  },
  ipv6_only: {
    says: 'the name has IPv6 addresses only, and none of them answers',
    remedy:
      'Add an A record (IPv4) for the name, or have the hosting provider mend IPv6. A relay without IPv6 cannot reach such a name at all.',
  },
  nothing_listens: {
    says: 'the machine is there, but nothing listens on the port',
    remedy: 'Check the port in callback.url, and whether the web server runs.',
  },
  unreachable: {
    says: 'no connection could be made: a firewall drops it, or the machine is down',
    remedy:
      "Ask the hosting provider whether connections from the relay's address are blocked, by country or as a server's.",
  },
  reset: {
    says: 'the connection was cut off without an answer',
    remedy:
      'A firewall of the host does this, or a web server that crashes. Ask the hosting provider to let the relay through; look into the error log.',
  },
  tls_failed: {
    says: 'no secure connection could be made',
    remedy: 'Check that the port speaks HTTPS, with TLS 1.2 or newer, and has a certificate for this name.',
  },
  certificate_expired: {
    says: 'the certificate has expired',
    remedy: 'Renew it; if that should happen by itself, find out why it did not. Browsers refuse the site too.',
  },
  certificate_name: {
    says: 'the certificate is for another name',
    remedy:
      'Get a certificate for the name in callback.url, or write a name in callback.url that it is for (with or without www).',
  },
  certificate_self_signed: {
    says: 'the certificate is signed by itself, so nobody vouches for it',
    remedy: "Get one of a public authority; Let's Encrypt has them free of charge.",
  },
  certificate_chain: {
    says: 'the server does not send the certificates between its own and the authority',
    remedy:
      'Configure the full chain (fullchain.pem), not the certificate alone. Browsers often hide this fault, servers do not.',
  },
  certificate_invalid: {
    says: 'the certificate cannot be verified',
    remedy: 'Have a TLS checker look at the site, and mend what it finds.',
  },
  slow_headers: {
    says: 'the site took the request and did not begin to answer in time',
    remedy:
      'PHP workers are busy or stuck, or a plugin waits for another server. Look at the slow log of PHP, and raise the number of workers.',
  },
  slow_body: {
    says: 'the site began to answer and did not come to an end in time',
    remedy:
      'Something in the site streams, or buffers, its output. Answer callbacks with a short body, and end the request with it.',
  },
  too_large: {
    says: 'the answer has headers of more than 16 KiB',
    remedy: 'A plugin sets very many or very large headers, mostly cookies. Answer callbacks without them.',
  },
  compressed: {
    says: 'the answer is compressed although this was not asked for, and is not unpacked',
    remedy: 'Switch off compression for the path of callback.url, or honour Accept-Encoding: identity.',
  },
  redirect_loop: {
    says: 'the redirects go round in circles',
    remedy:
      'Mostly two settings contradict each other: the site address, and a redirect to https or www in the web server or CDN ("flexible" SSL). Set both the same.',
  },
  redirect_https: {
    says: 'the site redirects from http to https',
    remedy: 'Write https:// in callback.url: a redirect would lose the body, so it is not followed.',
  },
  redirect_www: {
    says: 'the site redirects to its name with, or without, www',
    remedy: 'Write that name in callback.url: a redirect would lose the body, so it is not followed.',
  },
  redirect: {
    says: 'the site redirects to another place',
    remedy: 'Write that place in callback.url, if it is right: redirects are not followed.',
  },
  login_wall: {
    says: 'the site wants a login first',
    remedy:
      'Let the path of callback.url through without a login, in the membership, coming-soon or staging plugin that asks for it. The signature is what protects it.',
  },
  basic_auth: {
    says: 'the web server asks for a user and password (HTTP authentication)',
    remedy: 'Except the path of callback.url from it; staging sites often have this set by the host.',
  },
  cdn_challenge: {
    says: 'a CDN in front of the site wants to see a browser',
    remedy:
      'Add a rule that skips bot protection for the path of callback.url, by the user agent below or by the address of the relay. On Cloudflare: Security, WAF, a custom rule with Skip; Bot Fight Mode on free plans knows no exception and has to be switched off.',
  },
  cdn_block: {
    says: 'a CDN or firewall service in front of the site blocks the call',
    remedy: 'Allow the path of callback.url there, by the user agent below or by the address of the relay.',
  },
  firewall_plugin: {
    says: 'a firewall on the site blocks the call',
    remedy:
      'Allow the path of callback.url in it, or the address of the relay. In Wordfence: Firewall, All Firewall Options, Allowlisted URLs or IPs; or put it into learning mode and run this test again.',
  },
  rest_disabled: {
    says: 'the REST API of WordPress is switched off for whoever is not logged in',
    remedy:
      'In the plugin that does so (Disable REST API, Solid Security, All-In-One Security and others) allow the namespace in callback.url without a login.',
  },
  no_route: {
    says: 'WordPress knows no such REST route',
    remedy:
      'Check that the plugin which takes the callbacks is active, and that callback.url is the one that it shows.',
  },
  permalinks: {
    says: 'pretty permalinks do not work, so /wp-json/ is not there',
    remedy:
      'Settings, Permalinks: choose anything but Plain and save, or mend the rewrite rules of the web server; or write the address with ?rest_route= in callback.url.',
  },
  not_found: {
    says: 'nothing is at the path of callback.url',
    remedy: 'Check callback.url for a slip, and that the code which takes the callbacks is installed.',
  },
  maintenance: {
    says: 'the site is in maintenance mode',
    remedy:
      'Wait until it is over: callbacks are sent again for 24 hours. If it does not end, delete the file .maintenance in the folder of WordPress.',
  },
  php_error: {
    says: 'PHP stopped with an error',
    remedy: 'Look into the error log of PHP (for WordPress set WP_DEBUG_LOG), and switch off the plugin that it names.',
  },
  clock: {
    says: "the clocks of the site's server and of the relay differ, so the signature counts as too old or too new",
    remedy: "Have the site's server set its clock by NTP. If it is right, tell the operator of the relay.",
  },
  wrong_signature: {
    says: 'the site answered that the signature is wrong',
    remedy:
      'Compare the secret (whsec_…), or the key of GET /v1/keys, with what the site has; verify the raw body, before it is parsed; and let nothing on the way strip webhook-* headers.',
  },
  not_verified: {
    says: 'the site also takes calls with a wrong signature, so anybody can send it events',
    remedy: 'Verify the signature before anything else: docs/callbacks.md has the code.',
  },
  overloaded: {
    says: 'the site is overloaded, or limits how often it may be called',
    remedy:
      'Raise the limit for the path of callback.url. Until then callbacks go more slowly, and none is lost within 24 hours.',
  },
  gone: {
    says: 'the site answered 410, which means: send no more callbacks',
    remedy: 'Answer otherwise if you want them. They begin again when the configuration of the site changes.',
  },
  server_error: {
    says: 'the site answered with a fault of its own',
    remedy: 'Look into the error logs of the web server and of PHP at the time of this test.',
  },
  refused: {
    says: 'the site refused the call, and does not say why in a way that is known here',
    remedy: 'Search the settings of security plugins and of the web server for what answers with this status.',
  },
  another_page: {
    says: 'a page answered and not the code that takes the callbacks',
    remedy:
      'Check callback.url. A cache, a coming-soon page or a theme may answer in its place: except its path from them.',
  },
  no_challenge: {
    says: 'the site answered, but not with the challenge',
    remedy:
      'Answer a ping with {"challenge": "…"}, as docs/callbacks.md shows; check that callback.url leads to that code.',
  },
} as const satisfies Record<string, Words>

export type Culprit = keyof typeof CULPRITS

/** A culprit, and what was seen of it here: a product's name, a place, a number. */
export interface Found {
  readonly culprit: Culprit
  readonly seen?: string
}
