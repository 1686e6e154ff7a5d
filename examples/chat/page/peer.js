/**
 * The other's browser, directly: sound if there is a microphone, and a channel for what is drawn and for pings. What
 * comes here was sent by the other's page, so nothing of it is believed.
 */
const PING_MS = 1000

export class Peer {
  /** What the microphone hears; undefined without one. */
  sound
  #pc
  #channel
  #on
  #early = []
  #timer
  #speaker = new Audio()

  /** `on`: `candidate(candidate)`, `open()`, `ping(ms)`, `line(numbers)`, `clear()`, `end()`. */
  constructor(iceServers, on) {
    this.#on = on
    this.#pc = new RTCPeerConnection({ iceServers })
    this.#pc.onicecandidate = ({ candidate }) => candidate && on.candidate(candidate.toJSON())
    this.#pc.ontrack = ({ streams, track }) => {
      this.#speaker.srcObject = streams[0] ?? new MediaStream([track])
      this.#speaker.play().catch(() => {})
    }
    this.#pc.onconnectionstatechange = () => this.#pc.connectionState === 'failed' && on.end()
    // Both name it by number, so neither has to wait for the other's.
    this.#channel = this.#pc.createDataChannel('board', { negotiated: true, id: 0 })
    this.#channel.onopen = () => {
      on.open()
      this.#timer = setInterval(() => this.send({ ping: performance.now() }), PING_MS)
      this.send({ ping: performance.now() })
    }
    this.#channel.onmessage = ({ data }) => this.#take(data)
    this.#channel.onclose = () => on.end()
  }

  /** Takes the microphone, or only listens if there is none. */
  async listen() {
    this.sound = await navigator.mediaDevices?.getUserMedia({ audio: true }).catch(() => undefined)
    // It was hung up while the browser asked: the microphone goes off again.
    if (this.#pc.signalingState === 'closed') return this.close()
    for (const track of this.sound?.getTracks() ?? []) this.#pc.addTrack(track, this.sound)
    if (!this.sound) this.#pc.addTransceiver('audio', { direction: 'recvonly' })
  }

  async offer() {
    await this.#pc.setLocalDescription()
    return this.#pc.localDescription.sdp
  }

  async answer(offer) {
    await this.#pc.setRemoteDescription({ type: 'offer', sdp: offer })
    await this.listen()
    await this.#pc.setLocalDescription()
    await this.#takeEarly()
    return this.#pc.localDescription.sdp
  }

  async accept(answer) {
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: answer })
    await this.#takeEarly()
  }

  /** Takes a candidate; one that comes before the description waits for it. */
  async add(candidate) {
    if (!this.#pc.remoteDescription) this.#early.push(candidate)
    else await this.#pc.addIceCandidate(candidate).catch(error => console.warn(String(error)))
  }

  send(message) {
    if (this.#channel.readyState === 'open') this.#channel.send(JSON.stringify(message))
  }

  mute(isMuted) {
    for (const track of this.sound?.getTracks() ?? []) track.enabled = !isMuted
  }

  close() {
    clearInterval(this.#timer)
    this.#channel.onclose = null
    for (const track of this.sound?.getTracks() ?? []) track.stop()
    this.#speaker.srcObject = null
    this.#pc.close()
  }

  async #takeEarly() {
    for (const candidate of this.#early.splice(0)) await this.add(candidate)
  }

  #take(text) {
    try {
      const { ping, pong, line, clear } = JSON.parse(text)
      if (Number.isFinite(ping)) this.send({ pong: ping })
      if (Number.isFinite(pong)) this.#on.ping(performance.now() - pong)
      if (Array.isArray(line) && line.length === 4 && line.every(Number.isFinite)) this.#on.line(line)
      if (clear === true) this.#on.clear()
    } catch {
      // Nothing that we speak.
    }
  }
}
