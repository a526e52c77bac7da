// Reads a stream over loopback: fetch, eventsource-parser and JSON.parse.
// node stream.mjs URL COUNT. Prints ns of CPU an event.
import { createParser } from 'eventsource-parser'

const [url, count] = process.argv.slice(2)

async function pass() {
  const response = await fetch(url)
  const decoder = new TextDecoder()
  let seen = 0
  const parser = createParser({ onEvent: (event) => { if (JSON.parse(event.data).type) seen++ } })
  for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }))
  if (seen !== Number(count)) throw new Error(`${seen} events instead of ${count}`)
}

await pass() // so that it is compiled
const begun = process.cpuUsage()
await pass()
const { user, system } = process.cpuUsage(begun)
console.log(JSON.stringify({ ns: (user + system) * 1000 / Number(count) }))
