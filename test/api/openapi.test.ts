import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { Compile } from 'typebox/schema'
import { call, Site, startRelay } from '../support/relay.ts'

const acme = new Site('acme')
const relay = await startRelay(t, acme.entry())
const server = acme.server()
const description = (await (await fetch(`${relay.api}/v1/openapi.json`)).json()) as Description

interface Description {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
}

interface Operation {
  requestBody: { content: Record<string, { schema: object }> }
  responses: Record<string, { content: Record<string, { schema: object }> }>
}

const operation = (path: string): Operation => description.paths[path]!['post']!
const allows = (path: string, body: unknown): boolean =>
  Compile(operation(path).requestBody.content['application/json']!.schema).Check(body)

const event = { to: { thread: 't1' }, type: 'message', data: 1 }
const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

const GOOD: Record<string, object> = {
  'the least': event,
  'integers as ids': { ...event, to: { thread: 0 }, id: 7, thread: 0 },
  'every field': { ...event, thread: 't1', id: 'a', ephemeral: true, except: 'XBO7_cIi.0' },
  'the whole alphabet of ids': { ...event, id: 'Aa0_.:@-' },
  'the longest id': { ...event, to: { thread: 'x'.repeat(128) } },
  'the longest type': { ...event, type: 'x'.repeat(64) },
  'one user': { ...event, to: { users: ['7'] }, thread: 'x' },
  '1,000 users': { ...event, to: { users: ids(1000) } },
  'the site': { ...event, to: { site: true } },
  'data: null': { ...event, data: null },
  'data: false': { ...event, data: false },
  'data: an empty string': { ...event, data: '' },
  'data: nested': { ...event, data: { a: [{ b: {} }], to: 1 } },
  'ephemeral: false': { ...event, ephemeral: false },
}

const BAD: Record<string, unknown> = {
  'no object': [],
  'no fields': {},
  'no to': { ...event, to: undefined },
  'no type': { ...event, type: undefined },
  'no data': { ...event, data: undefined },
  'an unknown field': { ...event, ephemerl: true },
  'to: a string': { ...event, to: 't1' },
  'to: null': { ...event, to: null },
  'to: nothing': { ...event, to: {} },
  'to: two': { ...event, to: { thread: 't1', site: true } },
  'to: an unknown name': { ...event, to: { room: 't1' } },
  'to.site: false': { ...event, to: { site: false } },
  'to.users: none': { ...event, to: { users: [] } },
  'to.users: one that is no list': { ...event, to: { users: '7' } },
  'to.users: 1,001': { ...event, to: { users: ids(1001) } },
  'to.users: one that is no id': { ...event, to: { users: ['7', 'a b'] } },
  'to.thread: null': { ...event, to: { thread: null } },
  'an empty id': { ...event, id: '' },
  'id: too long': { ...event, id: 'x'.repeat(129) },
  'id: a slash': { ...event, id: 'a/b' },
  'id: beyond ASCII': { ...event, id: 'é' },
  'id: a line break at its end': { ...event, id: 'a\n' },
  'id: negative': { ...event, id: -1 },
  'id: a fraction': { ...event, id: 1.5 },
  'id: null': { ...event, id: null },
  'thread: no id': { ...event, thread: 'a b' },
  'type: empty': { ...event, type: '' },
  'type: too long': { ...event, type: 'x'.repeat(65) },
  'type: a number': { ...event, type: 7 },
  'type: a @': { ...event, type: 'a@b' },
  'ephemeral: a string': { ...event, ephemeral: 'yes' },
  'ephemeral: null': { ...event, ephemeral: null },
  'except: null': { ...event, except: null },
}

await t.test('the description is valid OpenAPI 3.1', async t => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate({ ...structuredClone(description) })
  t.ok(valid, JSON.stringify(errors))
  t.equal(validator.version, '3.1')
  t.equal(description.openapi, '3.1.0')
})

await t.test('what the schema allows the relay takes', async t => {
  for (const [name, body] of Object.entries(GOOD)) {
    t.ok(allows('/v1/publish', body), `${name}: by the schema`)
    const answer = await call(relay, server, '/v1/publish', body)
    t.equal(answer.status, 200, `${name}: by the relay, ${JSON.stringify(answer.body)}`)
  }
})

await t.test('what the schema forbids the relay refuses', async t => {
  for (const [name, body] of Object.entries(BAD)) {
    t.notOk(allows('/v1/publish', JSON.parse(JSON.stringify(body))), `${name}: by the schema`)
    const { status } = await call(relay, server, '/v1/publish', body)
    t.ok(status === 422 || status === 400, `${name}: by the relay, ${status}`)
  }
})

await t.test('for batches both agree too', async t => {
  const good = { events: Object.values(GOOD).slice(0, 3) }
  t.ok(allows('/v1/publish/batch', good))
  t.equal((await call(relay, server, '/v1/publish/batch', good)).status, 200)
  for (const body of [{}, [], { events: [] }, { events: event }, { events: [event], more: 1 }]) {
    t.notOk(allows('/v1/publish/batch', body), JSON.stringify(body))
    t.equal((await call(relay, server, '/v1/publish/batch', body)).status < 500, true)
    t.not((await call(relay, server, '/v1/publish/batch', body)).status, 200, JSON.stringify(body))
  }
  const many = { events: Array.from({ length: 1001 }, () => event) }
  t.notOk(allows('/v1/publish/batch', many))
  t.equal((await call(relay, server, '/v1/publish/batch', many)).status, 422)
})

/** Returns what tells whether a body is as described for a path and a status. */
function answers(path: string, status: string): (body: unknown) => boolean {
  const [{ schema }] = Object.values(operation(path).responses[status]!.content) as [{ schema: object }]
  const compiled = Compile(schema)
  return body => compiled.Check(body)
}

await t.test('answers are as described: of publish, of batch, of a refusal', async t => {
  const published = answers('/v1/publish', '200')
  const repeated = { ...event, id: 'twice' }
  for (const body of [event, { ...event, ephemeral: true }, repeated, repeated]) {
    t.ok(published((await call(relay, server, '/v1/publish', body)).body), JSON.stringify(body))
  }
  const batch = await call(relay, server, '/v1/publish/batch', { events: [event, {}, 5] })
  t.ok(answers('/v1/publish/batch', '200')(batch.body), JSON.stringify(batch.body))
  for (const body of ['{', {}]) {
    const { body: problem } = await call(relay, server, '/v1/publish', body)
    t.ok(answers('/v1/publish', '4XX')(problem), JSON.stringify(problem))
  }
  t.notOk(published({ id: 'a' }), 'the check can fail')
})

// What a schema cannot say, or does not. docs/http-api.md tells each of these.
const STRICTER: Record<string, string> = {
  'a fraction of zero': '{"to":{"thread":4.0},"type":"m","data":1}',
  'an exponent': '{"to":{"thread":1e3},"type":"m","data":1}',
  'thread and to.thread differ': '{"to":{"thread":"a"},"thread":"b","type":"m","data":1}',
  'a key twice': '{"to":{"thread":"a"},"type":"m","type":"m","data":1}',
  'data over the limit': JSON.stringify({ ...event, data: 'x'.repeat(65_535) }),
  'data nested too deeply': `{"to":{"thread":"a"},"type":"m","data":${'['.repeat(65)}${']'.repeat(65)}}`,
}

await t.test('the documented differences are the ones that there are', async t => {
  for (const [name, text] of Object.entries(STRICTER)) {
    t.ok(allows('/v1/publish', JSON.parse(text)), `${name}: by the schema`)
    t.not((await call(relay, server, '/v1/publish', text)).status, 200, `${name}: by the relay`)
  }
})
