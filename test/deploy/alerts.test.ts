/** deploy/prometheus and deploy/grafana: what Prometheus takes, what it finds in a real relay, and the pages that go with it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { promtool, startPrometheus } from '../support/prometheus.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = join(ROOT, 'deploy/prometheus')
const RULES = read('deploy/prometheus/throughline.rules.yml')
const TESTS = read('deploy/prometheus/throughline.rules.test.yml')
const ALERTS = [...RULES.matchAll(/- alert: (\w+)\n([^]*?)(?=\n {6}- alert|\n {2}- name|$)/g)].map(
  ([, name = '', body = '']) => ({ name, body, page: pageOf(name) }),
)

interface Panel {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}
const dashboard = JSON.parse(read('deploy/grafana/throughline.json')) as {
  schemaVersion: number
  panels: Panel[]
  templating: { list: { name: string; type: string }[] }
}
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  // As Grafana fills them in.
  targets.map(({ expr }) => ({
    title,
    expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.+'),
  })),
)

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** ThroughlineBusDown: bus-down. */
function pageOf(alert: string): string {
  return alert
    .replace('Throughline', '')
    .replaceAll(/(?<=[a-z])[A-Z]/g, '-$&')
    .toLowerCase()
}

await t.test('promtool takes the rules and the configuration', async t => {
  t.match(
    promtool('', 'check', 'rules', join(FOLDER, 'throughline.rules.yml')),
    `SUCCESS: ${ALERTS.length} rules found`,
  )
  t.match(promtool('', 'check', 'config', join(FOLDER, 'prometheus.yml')), /SUCCESS: .* is valid/)
})

await t.test('each alert fires when it must and is silent when not', async t => {
  t.match(promtool('', 'test', 'rules', join(FOLDER, 'throughline.rules.test.yml')), /^Unit Testing:.*\n *SUCCESS$/)
  const checks = [...TESTS.matchAll(/alertname: (\w+)\n +exp_alerts:( \[\])?$/gm)]
  for (const { name } of ALERTS) {
    const kinds = new Set(checks.filter(([, alert]) => alert === name).map(([, , empty]) => empty === undefined))
    t.equal(kinds.size, 2, `${name} is tested both ways`)
  }
})

await t.test('each alert has its page in docs/runbook, and each page its alert', async t => {
  const pages = readdirSync(join(ROOT, 'docs/runbook'))
  t.strictSame(pages.toSorted(), ALERTS.map(({ page }) => `${page}.md`).toSorted())
  for (const { name, body, page } of ALERTS) {
    t.match(body, `runbook_url: docs/runbook/${page}.md`, name)
    t.match(body, /severity: (page|ticket)\n/, name)
    const text = read(`docs/runbook/${page}.md`)
    t.match(text, new RegExp(`^# ${name}\n\n\\S`), page)
    t.strictSame(
      [...text.matchAll(/^## (.+)\n\n\S/gm)].map(([, heading]) => heading),
      ['What users see', 'Look at', 'Do'],
      page,
    )
  }
})

await t.test('metrics.md knows every metric that rules, dashboard and pages name', async t => {
  const known = new Set(
    [...read('docs/metrics.md').matchAll(/`((?:throughline|process|nodejs)_\w+)`/g)].map(([, n]) => n),
  )
  const texts = [
    RULES,
    ...queries.map(({ expr }) => expr),
    ...ALERTS.map(({ page }) => read(`docs/runbook/${page}.md`)),
  ]
  const named = new Set(texts.flatMap(text => text.match(/\b(?:throughline|process|nodejs)_\w+/g) ?? []))
  t.ok(named.size > 20)
  for (const name of named) t.ok(known.has(name.replace(/_bucket$/, '')), name)
})

await t.test('the dashboard has its four questions, and panels that do not overlap', async t => {
  const { panels, schemaVersion, templating } = dashboard
  t.ok(schemaVersion >= 38)
  t.strictSame(
    templating.list.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ],
  )
  t.strictSame(
    panels.filter(({ type }) => type === 'row').map(({ title }) => title),
    ['Is it up?', 'Is it fast?', 'Who is hurting?', 'When must I add a node?'],
  )
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const places = new Set<string>()
  for (const { title, gridPos, targets, type } of panels) {
    const { x, y, w, h } = gridPos
    t.ok(x + w <= 24, title)
    t.equal((targets ?? []).length > 0, type !== 'row', title)
    for (let i = 0; i < w * h; i++) places.add(`${x + (i % w)} ${y + Math.floor(i / w)}`)
  }
  t.equal(
    places.size,
    panels.reduce((sum, { gridPos: { w, h } }) => sum + w * h, 0),
  )
})

await t.test('a real Prometheus scrapes a relay, and every rule and every panel finds what it asks for', async t => {
  const acme = new Site('acme')
  const relay = await startRelay(t, acme.entry())
  const file = join(t.testdir({ data: {} }), 'prometheus.yml')
  const nodes = 'targets: [node1:9090, node2:9090]'
  const configuration = read('deploy/prometheus/prometheus.yml')
  t.match(configuration, nodes)
  writeFileSync(
    file,
    configuration
      .replaceAll(nodes, `targets: ['${new URL(relay.admin).host}']`)
      .replace('throughline.rules.yml', join(FOLDER, 'throughline.rules.yml'))
      .replaceAll(/_interval: (15|30)s/g, '_interval: 1s'),
  )
  const ask = await startPrometheus(t, file, join(file, '../data'))
  const published = async (data: number): Promise<void> => {
    const { status } = await call(relay, acme.server(), '/v1/publish', { to: { site: true }, type: 'm', data })
    t.equal(status, 200)
  }
  await published(1)
  const query = async (expr: string): Promise<{ value: [number, string] }[]> =>
    (await ask('query', { query: expr })).result
  const total = 'throughline_events_published_total{source="api"}'
  await until(async () => (await query(`${total} == 1`)).length === 1, { what: 'a scrape' })
  await published(2)
  await until(async () => (await query(`rate(${total}[1m]) > 0`)).length === 1, { what: 'a rate' })

  // What there is nothing of in a node that nobody uses: refusals, closes, gaps, deliveries, an outside bus.
  const mayBeEmpty = /_bucket|auth_failures|refusals|gaps|closed|site_rate_limited|site_callback/
  for (const { title, expr } of queries) {
    // Another scrape than the one above may have to come first: each job has its own.
    const isFound = async (): Promise<boolean> => (await query(expr)).length > 0 || mayBeEmpty.test(expr)
    t.ok(await until(isFound, { what: `${title}: ${expr}` }), title)
  }
  type Rule = { name: string; health: string; state: string; lastError?: string }
  const rules = async (): Promise<Rule[]> =>
    ((await ask('rules')).groups as { rules: Rule[] }[]).flatMap(group => group.rules)
  await until(async () => (await rules()).every(({ health }) => health !== 'unknown'), {
    what: 'all rules to be tried',
  })
  for (const { name, health, state, lastError } of await rules()) {
    t.equal(health, 'ok', `${name} ${lastError}`)
    // A busy machine may make one pending.
    t.not(state, 'firing', name)
  }
})
