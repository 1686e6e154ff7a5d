import { at, setText } from './elements.js'

/** The connection as one sees it: a badge, a line of words when it is not live, and what has come which way. */
const STATES = {
  live: ['live', 'Connected: messages arrive at once'],
  'catching-up': ['catching-up', 'Connected again: asking the origin for what was missed'],
  polling: ['polling', 'No relay at the moment: asking the origin instead'],
  offline: ['offline', 'Neither relay nor origin answers. What you write is kept, and sent later'],
  closed: ['closed', 'The relay has ended this connection for good: reload the page'],
}
const SAID = new Set(['polling', 'offline', 'closed'])

export class LinkView {
  constructor({ cut, again }) {
    at('again').onclick = again
    at('cut').onclick = async () => {
      at('cut').disabled = true
      await cut().catch(() => {
        at('cut').disabled = false
      })
    }
  }

  showState(state, error) {
    const [label, words] = STATES[state]
    for (const pill of document.querySelectorAll('.pill')) {
      setText(pill, label)
      pill.dataset.state = state
      pill.title = words
    }
    at('banner').hidden = !SAID.has(state)
    at('again').hidden = state === 'closed'
    setText(at('link-words'), error ? `${words} (${error.message})` : words)
    if (state === 'live') at('cut').disabled = false
  }

  showCounts({ live, fetched }) {
    setText(at('live'), `${live}`)
    setText(at('fetched'), `${fetched}`)
  }
}
