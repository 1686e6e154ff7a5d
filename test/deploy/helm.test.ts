import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { VARIABLES, type Variable } from '../../src/config/schema.ts'
import {
  CHART,
  helm,
  LACKS_HELM,
  type Manifest,
  makeSchemas,
  readYaml,
  render,
  validate,
  VERSIONS,
} from '../support/helm.ts'
import { startRedis } from '../support/redis.ts'
import { Site, startRelay, type Teardown } from '../support/relay.ts'

/** What is read of a Deployment. */
interface Deployment extends Manifest {
  readonly spec: {
    readonly minReadySeconds: number
    readonly progressDeadlineSeconds: number
    readonly selector: { readonly matchLabels: Record<string, string> }
    readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: Pod }
  }
}

interface Pod {
  readonly enableServiceLinks: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: object
  readonly containers: readonly [Container]
}

interface Container {
  readonly env: readonly { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string } } }[]
  readonly ports: readonly { name: string; containerPort: number }[]
  readonly securityContext: object
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

t.setTimeout(300_000)
const skip = LACKS_HELM
const newest = VERSIONS.at(-1)!
const files = readdirSync(join(CHART, 'ci'))
const given = (name: string): string[] => ['-f', join(CHART, 'ci', name)]

async function deployment(t: Teardown, name: string): Promise<Deployment> {
  const manifests = await readYaml<Manifest>(t, await render(newest, ...given(name)))
  return manifests.find(({ kind }) => kind === 'Deployment') as Deployment
}

await t.test(
  'the chart is linted and valid for the oldest and a new Kubernetes, with every value file',
  { skip },
  async t => {
    const schemas = await makeSchemas(t)
    for (const name of files) {
      await helm('lint', '--strict', CHART, ...given(name))
      for (const version of VERSIONS)
        t.strictSame(await validate(schemas, version, await render(version, ...given(name))), [], `${name}, ${version}`)
    }
    const page = readFileSync(join(CHART, '../../docs/operate/kubernetes.md'), 'utf8')
    const values = join(schemas, 'relay.yaml')
    writeFileSync(values, /with these values, as `relay\.yaml`:\n\n```yaml\n([\s\S]*?)^```/im.exec(page)![1]!)
    t.strictSame(await validate(schemas, newest, await render(newest, '-f', values)), [], 'those of the page, too')
    const kinds = (await readYaml<Manifest>(t, await render(newest, ...given('full.yaml')))).map(({ kind }) => kind)
    t.strictSame(kinds.toSorted(), [
      'Deployment',
      'HorizontalPodAutoscaler',
      'Ingress',
      'NetworkPolicy',
      'Pod',
      'PodDisruptionBudget',
      'PrometheusRule',
      'Service',
      'Service',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ])
  },
)

await t.test('chart and relay have one version', async t => {
  const { version } = JSON.parse(readFileSync(join(CHART, '../../package.json'), 'utf8')) as { version: string }
  t.match(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'), `\nversion: ${version}\nappVersion: ${version}\n`)
})

await t.test('a slip in a template would not pass', { skip }, async t => {
  const schemas = await makeSchemas(t)
  const full = await render(newest, ...given('full.yaml'))
  for (const [right, wrong] of [
    ['minReadySeconds: 70', 'minReadySecond: 70'],
    ['containerPort: 8080', 'containerPort: "8080"'],
    ['policyTypes: [Ingress, Egress]', 'policyTypes: Ingress'],
    ['replacement: throughline', 'replacements: throughline'],
    ['pathType: Exact', ''],
  ] as const) {
    const faults = await validate(schemas, newest, full.replace(right, wrong))
    t.equal(faults.length, 1, wrong)
  }
})

await t.test('values that do not fit are refused in words that say what to change', { skip }, async t => {
  const works = { replicas: '1', 'sites.existingSecret': 'relay-sites' }
  const redis = { ...works, 'bus.url': 'redis://redis' }
  for (const [values, words] of [
    [{}, /replicas: expected a Redis in bus\.url or bus\.existingSecret, or replicas: 1/],
    [{ replicas: '1' }, /sites\.existingSecret, operator\.existingSecret or operator\.existingConfigMap: expected one/],
    [{ ...works, workers: '2' }, /workers: expected a Redis/],
    [{ ...works, 'autoscaling.enabled': 'true' }, /autoscaling: expected a Redis/],
    [{ ...works, 'bus.url': 'redis://:word@redis' }, /bus\.url: expected no login in it/],
    [{ ...redis, 'bus.existingSecret': 'relay-redis' }, /bus: expected url or existingSecret, found both/],
    [{ ...works, 'bus.url': 'http://redis' }, /\/bus\/url.*does not match/],
    [{ ...works, drainSecond: '5' }, /drainSecond.*not allowed/],
    [{ ...works, 'sites.existingsecret': 'x' }, /\/sites.*existingsecret.*not allowed/],
    [{ ...works, drainSeconds: '3601' }, /\/drainSeconds.*3,?600/],
    [{ ...works, 'trustProxy[0]': '10.0.0.1' }, /\/trustProxy\/0.*does not match/],
    [{ ...works, 'limits.connections': 'many' }, /\/limits\/connections.*want integer/],
    [{ ...works, 'revoked.existingSecret': 'a', 'revoked.existingConfigMap': 'b' }, /revoked: expected .*, found both/],
    [{ ...works, 'ingress.enabled': 'true' }, /ingress\.hosts: expected a host name/],
    [
      { ...works, 'gateway.enabled': 'true', 'gateway.hosts[0]': 'a.example' },
      /gateway\.parentRefs: expected the Gateway/,
    ],
    [{ ...redis, 'autoscaling.enabled': 'true', 'autoscaling.maxReplicas': '1' }, /autoscaling\.maxReplicas: expected/],
  ] as const) {
    const set = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])
    await t.rejects(render(newest, ...set), { message: words }, words.source)
  }
  await t.resolves(render(newest, '--set', 'replicas=1,sites.existingSecret=relay-sites'))
})

await t.test(
  'a pod has no rights, no secret in its manifest, and only variables that the relay knows',
  { skip },
  async t => {
    const known = new Set(Object.values<Variable<unknown>>(VARIABLES).map(({ name }) => name))
    for (const name of files) {
      const { containers, enableServiceLinks, securityContext } = (await deployment(t, name)).spec.template.spec
      const [container] = containers
      t.strictSame(
        container.env.map(({ name }) => name).filter(name => name.startsWith('THROUGHLINE_') && !known.has(name)),
        [],
        name,
      )
      t.equal(enableServiceLinks, false, 'Kubernetes adds no THROUGHLINE_PORT')
      t.match(securityContext, { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } })
      const rights = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } }
      t.strictSame(container.securityContext, rights)
      t.notMatch(await render(newest, ...given(name)), /^kind: Secret$/m)
    }
    const { env } = (await deployment(t, 'full.yaml')).spec.template.spec.containers[0]
    const bus = env.find(({ name }) => name === 'THROUGHLINE_BUS')
    t.strictSame(bus?.valueFrom, { secretKeyRef: { name: 'relay-redis', key: 'url' } })
  },
)

await t.test('a pod has the time to drain, and an update waits for it', { skip }, async t => {
  for (const name of files) {
    const { spec } = await deployment(t, name)
    const { containers, terminationGracePeriodSeconds: grace } = spec.template.spec
    const [{ env, lifecycle }] = containers
    const drain = Number(env.find(({ name }) => name === 'THROUGHLINE_DRAIN_SECONDS')?.value)
    const leaving = (lifecycle?.preStop.sleep.seconds ?? 0) + drain
    // The time of callbacks and answers that are under way.
    t.ok(grace >= leaving + 20, `${name}: ${grace} s for ${leaving} s`)
    t.ok(spec.minReadySeconds >= leaving, `${name}: one pod after the other`)
    t.ok(spec.progressDeadlineSeconds > spec.minReadySeconds + 60, name)
  }
})

await t.test('probes, Services and Prometheus find the ports where the relay listens', { skip }, async t => {
  for (const name of files) {
    const manifests = await readYaml<Manifest>(t, await render(newest, ...given(name)))
    const { template, selector } = manifests.find(({ kind }): boolean => kind === 'Deployment')!
      .spec as Deployment['spec']
    const [{ env, ports, startupProbe, livenessProbe, readinessProbe }] = template.spec.containers
    for (const { name, containerPort } of ports) {
      const listen = env.find(({ name: variable }) => variable === `THROUGHLINE_${name.toUpperCase()}_LISTEN`)?.value
      t.match(listen, new RegExp(`^(0\\.0\\.0\\.0|\\[::\\]):${containerPort}$`), 'on every address, not on loopback')
    }
    t.match(
      [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet),
      [
        { path: '/healthz', port: 'admin' },
        { path: '/healthz', port: 'admin' },
        { path: '/readyz', port: 'admin' },
      ],
    )
    t.match(template.metadata.labels, selector.matchLabels)
    const services = manifests.filter(({ kind }) => kind === 'Service')
    t.equal(services.length, 3)
    for (const { spec } of services) {
      const { selector: chosen, ports: offered } = spec as Service
      t.match(template.metadata.labels, chosen)
      for (const { targetPort } of offered)
        t.ok(
          ports.some(({ name }) => name === targetPort),
          targetPort,
        )
    }
    const admin = services.find(({ metadata }) => metadata.name.endsWith('-admin'))!
    const monitor = manifests.find(({ kind }) => kind === 'ServiceMonitor')?.spec as Monitor | undefined
    if (monitor === undefined) continue
    t.match(admin.metadata.labels, monitor.selector.matchLabels)
    t.strictSame(scraped(monitor), ['/metrics throughline', '/metrics/sites throughline-sites'], name)
  }
})

await t.test('Prometheus may be kept from the numbers of each site', { skip }, async t => {
  const without = ['--set', 'serviceMonitor.sites=false']
  const manifests = await readYaml<Manifest>(t, await render(newest, ...given('full.yaml'), ...without))
  const monitor = manifests.find(({ kind }) => kind === 'ServiceMonitor')?.spec as Monitor
  t.strictSame(scraped(monitor), ['/metrics throughline'])
})

interface Service {
  readonly selector: Record<string, string>
  readonly ports: readonly { targetPort: string }[]
}

interface Monitor {
  readonly selector: { readonly matchLabels: Record<string, string> }
  readonly endpoints: readonly { path: string; relabelings: readonly { replacement: string }[] }[]
}

/** Returns where Prometheus looks, and what it calls the job. */
function scraped({ endpoints }: Monitor): string[] {
  return endpoints.map(({ path, relabelings }) => `${path} ${relabelings.map(({ replacement }) => replacement).join()}`)
}

await t.test('the alerts are those of deploy/prometheus, with the address of their pages', { skip }, async t => {
  const rules = readFileSync(join(CHART, '../../deploy/prometheus/throughline.rules.yml'), 'utf8')
  const [original] = await readYaml(
    t,
    rules.replaceAll('docs/runbook/', 'https://docs.example.com/throughline/runbook/'),
  )
  const manifests = await readYaml<Manifest>(t, await render(newest, ...given('full.yaml')))
  t.strictSame(manifests.find(({ kind }) => kind === 'PrometheusRule')?.spec, original)
})

await t.test('a relay starts with the environment of the rendered pod, and drains', { skip }, async t => {
  const redis = await startRedis(t)
  const site = new Site('acme')
  const root = mkdtempSync(join(tmpdir(), 'throughline-pod-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const mounted: Record<string, unknown> = {
    'sites/sites.json': site.entry(),
    'operator/jwks.json': { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'o1' }] },
    'revoked/revoked.json': ['licence-1'],
    'callback-key/callback.json': privateKey.export({ format: 'jwk' }),
    'ice/ice.json': { urls: ['turn:turn.example.com'], secret: 'shared-with-coturn' },
  }
  for (const [path, content] of Object.entries(mounted)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), JSON.stringify(content))
  }
  const { env } = (await deployment(t, 'full.yaml')).spec.template.spec.containers[0]
  const environment: Record<string, string> = {}
  for (const { name, value, valueFrom } of env) {
    if (valueFrom?.secretKeyRef.name === 'relay-redis') environment[name] = redis.url
    else environment[name] = value!.replace(/^0\.0\.0\.0:\d+$/, '127.0.0.1:0').replace('/etc/throughline', root)
  }
  // The lines that tell the ports are of level info, which this value file leaves out.
  environment['THROUGHLINE_LOG_LEVEL'] = 'info'
  const relay = await startRelay(t, {}, environment)
  const ready = await fetch(`${relay.admin}/readyz`)
  t.strictSame(await ready.json(), { ready: true, bus: 'up' })
  const published = await fetch(`${relay.api}/v1/publish`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${site.server()}`, 'Content-Type': 'application/json' },
    body: '{"to":{"thread":"42"},"type":"message","data":1}',
  })
  t.equal(published.status, 200)
  t.match(await redis.cli('KEYS', 'chat:*'), /chat:/, 'under the prefix of the value file')
  relay.kill('SIGTERM')
  t.equal(await relay.exit, 0)
})
