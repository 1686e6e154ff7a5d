import { Drawing } from './drawing.js'
import { at, avatar, setText } from './elements.js'

/** What one sees of a call. */
const STATES = { calling: 'Ringing…', ringing: 'is calling you', connecting: 'Connecting…' }

export class CallView {
  #calls
  #model
  #drawing
  #shown

  constructor(calls, model) {
    this.#calls = calls
    this.#model = model
    this.#drawing = new Drawing(at('call-board'), line => calls.draw(line))
    at('call-accept').onclick = () => void calls.accept()
    at('call-end').onclick = () => calls.hangUp()
    at('call-clear').onclick = () => {
      this.#drawing.clear()
      calls.clear()
    }
    at('call-mute').onclick = () => {
      const { current } = calls
      current.isMuted = !current.isMuted
      calls.mute(current.isMuted)
      this.render()
    }
  }

  line(line) {
    this.#drawing.line(line, false)
  }

  clear() {
    this.#drawing.clear()
  }

  render() {
    const { current } = this.#calls
    at('call').hidden = !current
    if (!current) return
    const { state, user, ping, reason, peer, isMuted } = current
    if (this.#shown !== current) this.#enter(current, this.#model.person(user))
    const isConnected = state === 'connected'
    at('call').dataset.state = state
    const words = isConnected ? (peer?.sound ? 'You can talk and draw' : 'No microphone: draw') : STATES[state]
    setText(at('call-state'), words ?? reason)
    setText(at('call-ping'), ping === undefined ? '' : `${ping.toFixed(1)} ms`)
    at('call-ping').hidden = !isConnected || ping === undefined
    for (const id of ['call-board', 'call-clear']) at(id).hidden = !isConnected
    at('call-mute').hidden = !isConnected || !peer?.sound
    at('call-mute').ariaPressed = String(isMuted)
    at('call-accept').hidden = state !== 'ringing'
    at('call-end').hidden = state === 'ended'
    setText(at('call-end'), state === 'ringing' ? 'Decline' : 'Hang up')
  }

  #enter(call, person) {
    this.#shown = call
    this.#drawing.clear()
    setText(at('call-name'), person.name)
    at('call-face').replaceChildren(avatar(person))
  }
}
