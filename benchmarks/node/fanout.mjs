// One value to many observers of an RxJS Subject. node fanout.mjs OBSERVERS VALUES.
// Prints ns of CPU a call.
import { Subject } from 'rxjs'

const [observers, values] = process.argv.slice(2).map(Number)
const subject = new Subject()
const seen = new Array(observers).fill(0)
for (let i = 0; i < observers; i++) subject.subscribe(() => { seen[i]++ })
const value = { text: 'token', id: 'abc' }
for (let i = 0; i < values; i++) subject.next(value) // so that it is compiled
const begun = process.cpuUsage()
for (let i = 0; i < values; i++) subject.next(value)
const { user, system } = process.cpuUsage(begun)
console.log(JSON.stringify({ ns: (user + system) * 1000 / (observers * values) }))
