import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

const ARGUMENTS = [
  '--no-sandbox', // containers that run as root have none to offer
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts the Chromium of this machine: the one that CHROMIUM names, or the first that is installed; with `more` arguments. */
export async function openChromium(...more: string[]): Promise<Browser> {
  const named = process.env['CHROMIUM']
  const executablePath = named ?? PLACES.find(existsSync)
  if (executablePath === undefined || !existsSync(executablePath)) {
    const where = named === undefined ? PLACES.join(', ') : `CHROMIUM=${named}`
    throw new Error(`No Chromium at ${where}. Install it (apt-get install chromium), or let CHROMIUM name it.`)
  }
  return chromium.launch({ executablePath, args: [...ARGUMENTS, ...more] })
}
