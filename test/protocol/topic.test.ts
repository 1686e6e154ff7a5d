import { t } from 'tap'
import { parseSiteId, parseThreadId, parseUserId } from '../../src/protocol/ids.ts'
import { chainName, clientChainName, siteTopic, threadTopic, type Topic, userTopic } from '../../src/protocol/topic.ts'
import { valid } from '../contract/node.ts'

function topics(siteId: string, id: string): Topic[] {
  const site = valid(parseSiteId(siteId))
  const thread = parseThreadId(id)
  const user = parseUserId(id)
  return thread === undefined || user === undefined
    ? []
    : [threadTopic(site, thread), userTopic(site, user), siteTopic(site)]
}

await t.test('a topic names its chain as origins do', async t => {
  t.same(topics('acme', '42').map(chainName), ['thread:42', 'user:42', 'site'])
})

await t.test('clients see their own chain as user', async t => {
  t.same(topics('acme', '42').map(clientChainName), ['thread:42', 'user', 'site'])
  t.same(
    topics('acme', 'user:7').map(clientChainName),
    ['thread:user:7', 'user', 'site'],
    'and a thread keeps its name',
  )
})

await t.test('tenants cannot meet: no two different triples of site, kind and id make one topic', async t => {
  const sites = ['a', 'acme', 'acme-', 'acme-site', 'site', 'thread', 'user', '0']
  // What a hostile origin would choose; those that are no ids cannot become topics at all.
  const ids = [
    '7',
    '42',
    'site',
    'user',
    'user:7',
    'thread:7',
    'acme',
    ':',
    '::',
    'a:b',
    '../acme',
    'acme/thread:7',
    '/',
    'a/site',
    '..',
    '',
  ]
  const owners = new Map<Topic, string>()
  for (const siteId of sites) {
    for (const id of ids) {
      for (const [kind, topic] of topics(siteId, id).entries()) {
        const owner = kind === 2 ? `${siteId} site` : `${siteId} ${kind} ${id}`
        if ((owners.get(topic) ?? owner) !== owner) t.fail(`${topic} is both ${owner} and ${owners.get(topic)}`)
        owners.set(topic, owner)
        if (topic.split('/')[0] !== siteId) t.fail(`${topic} is not of ${siteId}`)
      }
    }
  }
  t.ok(owners.size > 100)
})
