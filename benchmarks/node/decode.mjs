// Decodes a file of server-sent events, cut into chunks: eventsource-parser and JSON.parse.
// node decode.mjs FILE SIZES COUNT: SIZES is a file with one size a line. Prints ns of CPU an event.
import { readFileSync } from 'node:fs'
import { createParser } from 'eventsource-parser'

const [file, sizesFile, count] = process.argv.slice(2)
const data = readFileSync(file)
const chunks = []
let at = 0
for (const line of readFileSync(sizesFile, 'utf8').split('\n')) {
  if (at >= data.length) break
  chunks.push(data.subarray(at, at + Number(line)))
  at += Number(line)
}

function pass() {
  const decoder = new TextDecoder()
  let seen = 0
  const parser = createParser({ onEvent: (event) => { if (JSON.parse(event.data).type) seen++ } })
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }))
  if (seen !== Number(count)) throw new Error(`${seen} events instead of ${count}`)
}

pass() // so that it is compiled
const begun = process.cpuUsage()
pass()
const { user, system } = process.cpuUsage(begun)
console.log(JSON.stringify({ ns: (user + system) * 1000 / Number(count) }))
