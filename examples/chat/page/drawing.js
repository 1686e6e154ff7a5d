/** A board that two people draw on. Places are from 0 to 1, so that boards of different sizes show the same. */
const WIDTH = 10

export class Drawing {
  #canvas
  #ondraw
  #last

  constructor(canvas, ondraw) {
    this.#canvas = canvas
    this.#ondraw = ondraw
    canvas.onpointerdown = event => {
      canvas.setPointerCapture(event.pointerId)
      this.#last = this.#placeOf(event)
      this.#go(event)
    }
    canvas.onpointermove = event => this.#last && this.#go(event)
    canvas.onpointerup = canvas.onpointercancel = () => {
      this.#last = undefined
    }
  }

  /** Draws a line of ours or of the other's. */
  line([fromX, fromY, toX, toY], isOwn) {
    const { width, height } = this.#canvas
    const pen = this.#canvas.getContext('2d')
    const style = getComputedStyle(this.#canvas)
    pen.strokeStyle = style.getPropertyValue(isOwn ? '--accent' : '--theirs')
    pen.lineWidth = WIDTH
    pen.lineCap = 'round'
    pen.beginPath()
    pen.moveTo(fromX * width, fromY * height)
    pen.lineTo(toX * width, toY * height)
    pen.stroke()
  }

  clear() {
    this.#canvas.getContext('2d').clearRect(0, 0, this.#canvas.width, this.#canvas.height)
  }

  #go(event) {
    const [x, y] = this.#placeOf(event)
    const line = [...this.#last, x, y]
    this.#last = [x, y]
    this.line(line, true)
    this.#ondraw(line)
  }

  #placeOf({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect()
    return [(clientX - left) / width, (clientY - top) / height]
  }
}
