import { bus } from './bus.ts'
import { callbackKey } from './callback-key.ts'
import { callbacks, CALLBACKS_MS } from './callbacks.ts'
import { certificate } from './certificate.ts'
import type { Check } from './check.ts'
import { clocks } from './clocks.ts'
import { cluster } from './cluster.ts'
import { files } from './files.ts'
import { latency } from './latency.ts'
import { ports } from './ports.ts'
import { redis } from './redis.ts'
import { roundTrip } from './round-trip.ts'
import { sentinels } from './sentinels.ts'
import { sites } from './sites.ts'
import { software } from './software.ts'

/** Everything that is looked at once the configuration is understood, in the order in which it is told. */
export const CHECKS: readonly Check[] = [
  { name: 'software', run: software },
  { name: 'files', run: files },
  { name: 'ports', run: ports },
  { name: 'certificate', run: certificate },
  { name: 'sites', run: sites },
  { name: 'callback-key', run: callbackKey },
  { name: 'redis', run: redis },
  { name: 'sentinels', run: sentinels },
  { name: 'cluster', run: cluster },
  { name: 'latency', run: latency },
  { name: 'bus', run: bus },
  { name: 'clocks', run: clocks },
  { name: 'round-trip', run: roundTrip },
  { name: 'callbacks', run: callbacks, withinMs: CALLBACKS_MS },
]
