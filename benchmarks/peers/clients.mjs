// Reads a stream with a client in JavaScript, as its documentation says: node clients.mjs NAME URL.
import { createOpencodeClient } from '@opencode-ai/sdk'
import { EventSource } from 'eventsource'
import { EventSourceParserStream } from 'eventsource-parser/stream'

const COUNT = 10
const [name, url] = process.argv.slice(2)
const tell = (what, value) => process.stdout.write(JSON.stringify([what, value]) + '\n')

// Tells of an event; returns whether it was the last one.
function seen(event) {
  if (typeof event === 'string' && event.startsWith('{"n":')) tell('broken', event.slice(0, 200))
  if (typeof event?.n !== 'number') return false
  tell('event', event.n)
  return event.n === COUNT
}

function parsed(data) {
  try {
    return JSON.parse(data)
  } catch {
    return data
  }
}

const clients = {
  // The README sets headers by the option `fetch`, which is called at each connect.
  eventsource: () => new Promise((resolve, reject) => {
    let token = 0
    const withToken = (input, init) => fetch(input, {
      ...init, headers: { ...init.headers, Authorization: `Bearer ${++token}` },
    })
    const source = new EventSource(`${url}/events`, { fetch: withToken })
    source.addEventListener('message', ({ data }) => {
      if (seen(parsed(data))) resolve(source.close())
    })
    source.addEventListener('error', (error) => {
      if (source.readyState === EventSource.CLOSED) reject(new Error(error.message))
      else tell('fault', error.message ?? 'error')
    })
  }),

  // The stream of the README, behind fetch and the usual look at `ok`.
  parser: async () => {
    const response = await fetch(`${url}/events`, { headers: { Authorization: 'Bearer 1' } })
    if (!response.ok) throw new Error(`${response.status}`)
    const events = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
    for await (const { data } of events) if (seen(parsed(data))) return
  },

  opencode: async () => {
    const client = createOpencodeClient({ baseUrl: url, headers: { Authorization: 'Bearer 1' } })
    const { stream } = await client.event.subscribe({
      onSseError: (error) => tell('fault', String(error)),
    })
    for await (const event of stream) if (seen(event)) return
  },
}

// As in a program that has more to do: the timer by which eventsource reconnects keeps none alive.
setInterval(() => {}, 1000)
tell('ready', name)
try {
  await clients[name]()
} catch (error) {
  tell('raised', String(error).slice(0, 200))
}
process.stdout.write(JSON.stringify(['end', null]) + '\n', () => process.exit(0))
