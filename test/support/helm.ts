/** The real helm and kubeconform, and the schemas of Kubernetes, which helm/tools.sh makes where there is Go. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Teardown } from './relay.ts'

const run = promisify(execFile)

export const CHART = fileURLToPath(new URL('../../../helm/throughline', import.meta.url))
const TOOLS =
  process.env['HELM_TOOLS'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'throughline-helm')

/** Why tests of the chart cannot run here, or false. */
export const LACKS_HELM = existsSync(join(TOOLS, 'made')) ? false : 'helm is not here: bash helm/tools.sh (needs Go)'

/** The oldest version of Kubernetes that the chart is for, and a new one. */
export const VERSIONS: readonly string[] = LACKS_HELM
  ? []
  : readdirSync(join(TOOLS, 'schemas'))
      .filter(name => name !== 'crds')
      .toSorted()

/** A Kubernetes object, read as far as tests look. */
export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> }
  readonly spec?: unknown
}

/** Runs helm; rejects with what it said on stderr when it refuses. */
export async function helm(...args: string[]): Promise<string> {
  // The error's own message is the command; helm's words are what counts.
  const { stdout } = await run(join(TOOLS, 'bin/helm'), args, { maxBuffer: 1 << 26 }).catch(error => {
    throw new Error((error as { stderr: string }).stderr)
  })
  return stdout
}

/** Returns the chart's manifests as YAML. */
export function render(version: string, ...args: string[]): Promise<string> {
  return helm('template', 'relay', CHART, '--namespace', 'relay', '--kube-version', version, ...args)
}

/** Reads YAML of several documents. helm is the reader: a chart of one template prints them as JSON. */
export async function readYaml<T>(t: Teardown, yaml: string): Promise<T[]> {
  const chart = folder(t)
  mkdirSync(join(chart, 'templates'))
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: reader\nversion: 0.0.0\n')
  writeFileSync(join(chart, 'given.yaml'), yaml)
  const template =
    '{{ range regexSplit "(?m)^---$" (.Files.Get "given.yaml") -1 }}\n---\n{{ fromYaml . | toJson }}{{ end }}'
  writeFileSync(join(chart, 'templates/json.yaml'), template)
  const lines = (await helm('template', chart)).split('\n')
  return lines.filter(line => line.startsWith('{') && line !== '{}').map(line => JSON.parse(line) as T)
}

/** Checks manifests against the schemas of Kubernetes. Returns the faults, one line each. */
export async function validate(schemas: string, version: string, yaml: string): Promise<string[]> {
  const file = join(schemas, `given-${version}.yaml`)
  writeFileSync(file, yaml)
  const place = join(schemas, version, '{{.ResourceKind}}{{.KindSuffix}}.json')
  const args = ['-strict', '-summary', '-output', 'json', '-schema-location', place, file]
  const { stdout } = await run(join(TOOLS, 'bin/kubeconform'), args).catch(error => error as { stdout: string })
  const { resources, summary } = JSON.parse(stdout) as Report
  if (summary.valid + summary.invalid === 0) throw new Error(`kubeconform has checked nothing: ${stdout}`)
  return resources.map(({ kind, name, msg }) => `${kind} ${name}: ${msg}`)
}

interface Report {
  readonly resources: readonly { kind: string; name: string; msg: string }[]
  readonly summary: { valid: number; invalid: number }
}

/** Writes the schemas in the form that kubeconform reads, one file a kind, and returns their folder. */
export async function makeSchemas(t: Teardown): Promise<string> {
  const made = folder(t)
  const crds = join(TOOLS, 'schemas/crds')
  const custom = await readYaml<Crd>(
    t,
    readdirSync(crds)
      .map(name => readFileSync(join(crds, name), 'utf8'))
      .join('\n---\n'),
  )
  for (const version of VERSIONS) {
    mkdirSync(join(made, version))
    const write = (kind: Kind, schema: object): void => {
      const name = [kind.kind, kind.group.split('.')[0], kind.version].filter(part => part !== '').join('-')
      writeFileSync(join(made, version, `${name.toLowerCase()}.json`), JSON.stringify(schema))
    }
    for (const name of readdirSync(join(TOOLS, 'schemas', version))) {
      const text = readFileSync(join(TOOLS, 'schemas', version, name), 'utf8')
      const { components } = JSON.parse(text) as { components: { schemas: Record<string, Schema> } }
      Object.values(components.schemas).forEach(close)
      for (const [name, schema] of Object.entries(components.schemas))
        for (const kind of schema['x-kubernetes-group-version-kind'] ?? [])
          write(kind, { $ref: `#/components/schemas/${name}`, components })
    }
    for (const { spec } of custom)
      for (const { name, schema } of spec.versions) {
        const { openAPIV3Schema: found } = schema
        // What is the same for all kinds is left out of a CRD's schema.
        found.properties!['metadata'] = {}
        close(found)
        write({ group: spec.group, kind: spec.names.kind, version: name }, found)
      }
  }
  return made
}

interface Kind {
  readonly group: string
  readonly kind: string
  readonly version: string
}

interface Crd {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[]
  }
}

interface Schema {
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-group-version-kind'?: readonly Kind[]
}

/** Lets a schema refuse fields that it does not know, as kubectl does. */
function close(schema: Schema): void {
  const { properties, additionalProperties: more, items } = schema
  if (properties !== undefined && more === undefined && !schema['x-kubernetes-preserve-unknown-fields'])
    schema.additionalProperties = false
  for (const inner of Object.values(properties ?? {})) close(inner)
  if (typeof more === 'object') close(more)
  if (items !== undefined) close(items)
}

function folder(t: Teardown): string {
  const made = mkdtempSync(join(tmpdir(), 'throughline-helm-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}
