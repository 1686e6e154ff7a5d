import { at } from './elements.js'

/** The box that one writes in, with a draft for each conversation. */
export class Composer {
  #drafts = new Map()
  #open

  /** `on`: `send(text)`, `type()`. */
  constructor(on) {
    const submit = () => {
      const text = at('text').value.trim()
      if (text === '') return
      at('text').value = ''
      this.#fit()
      on.send(text)
    }
    at('composer').onsubmit = event => {
      event.preventDefault()
      submit()
    }
    at('text').onkeydown = event => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      submit()
    }
    at('text').oninput = () => {
      this.#fit()
      if (at('text').value.trim()) on.type()
    }
  }

  open(id) {
    this.#drafts.set(this.#open, at('text').value)
    this.#open = id
    at('text').value = this.#drafts.get(id) ?? ''
    this.#fit()
    // On a phone this would raise the keyboard over what one came to read.
    if (id && matchMedia('(hover: hover)').matches) at('text').focus()
  }

  /** As many lines as there are, up to what the style allows. */
  #fit() {
    at('text').style.height = 'auto'
    at('text').style.height = `${at('text').scrollHeight + 2}px`
  }
}
