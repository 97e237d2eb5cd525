// Scenarios of records: what is produced comes back as it was.
'use strict'

const assert = require('node:assert/strict')
const { CompressionCodecs, CompressionTypes } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')
const { Reader, bytesOfSizes, range, refusal, until } = require('./case')

const PARTITIONS = 3
const LATENCY_MAX_MS = 1000

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

const values = records => records.map(({ value }) => value.toString('base64'))

/** Sends the values to the partitions in turn, so many with each request, and adds them to what was written. */
async function write(scenario, producer, written, all, atOnce, options) {
  for (let start = 0; start < all.length; start += atOnce) {
    const messages = all.slice(start, start + atOnce).map((value, n) => ({ partition: (start + n) % PARTITIONS, value }))
    const offsets = await scenario.send(producer, messages, options)
    messages.forEach(({ partition, value }, n) => {
      if (options.acks !== 0) assert.equal(offsets[n], written[partition].length)
      written[partition].push({ value })
    })
  }
}

async function readBack(scenario, admin, written) {
  const read = await scenario.readBack(admin, written.map(records => records.length))
  assert.deepEqual(read.map(values), written.map(values))
}

async function produce(scenario, compression) {
  await zstd.init()
  const admin = await scenario.create(PARTITIONS)
  const written = range(0, PARTITIONS).map(() => [])
  const all = bytesOfSizes(1000, 10_000)
  // acks 0 comes last: the broker closes the connection of one that it cannot serve yet.
  for (const acks of [-1, 1, 0]) {
    await write(scenario, await scenario.producer(), written, all, 50, { acks, compression })
  }
  await readBack(scenario, admin, written)
}

async function idempotent(scenario) {
  const admin = await scenario.create(PARTITIONS)
  const producer = await scenario.producer({ idempotent: true, maxInFlightRequests: 1 })
  const written = range(0, PARTITIONS).map(() => [])
  await write(scenario, producer, written, range(0, 2000).map(number => Buffer.from(`${number}`)), 20, { acks: -1 })
  await readBack(scenario, admin, written)
}

// A header value of null is beyond the client: it measures each value as a string.
async function headers(scenario) {
  const admin = await scenario.create()
  const now = Date.now()
  const messages = [
    ['key', 'value', {}, now],
    [null, 'value', { one: '1' }, now - 1],
    ['', '', { '': '' }, now - 86_400_123],
    ['key', null, { one: ['1', Buffer.from([0, 255]), '1'], two: '' }, now - 2],
    ['', null, { größe: 'groß' }, 1],
    [null, '', Object.fromEntries(range(0, 100).map(number => [`n${number}`, `${number}`])), now + 7],
    [null, null, { one: '1' }, now],
  ].map(([key, value, headers, ms]) => ({ partition: 0, key, value, headers, timestamp: `${ms}` }))
  assert.deepEqual(await scenario.send(await scenario.producer(), messages), range(0, messages.length))
  const [read] = await scenario.readBack(admin, [messages.length])
  const bytes = value => (Array.isArray(value) ? value.map(bytes) : value === null ? null : Buffer.from(value).toString('hex'))
  const plain = ({ key, value, headers, timestamp }) => ({
    key: bytes(key),
    value: bytes(value),
    headers: Object.entries(headers).map(([name, value]) => [name, bytes(value)]),
    timestamp,
  })
  assert.deepEqual(read.map(plain), messages.map(plain))
}

async function large(scenario) {
  const admin = await scenario.create()
  const producer = await scenario.producer()
  const [, fits] = bytesOfSizes(2, 900_000)
  assert.deepEqual(await scenario.send(producer, [{ partition: 0, value: fits }]), [0])
  const refused = scenario.send(producer, [{ partition: 0, value: Buffer.alloc(1_500_000) }])
  assert.equal(await refusal(refused), 'MESSAGE_TOO_LARGE')
  assert.deepEqual(await scenario.send(producer, [{ partition: 0, value: 'small' }]), [1])
  const [read] = await scenario.readBack(admin, [2])
  assert.deepEqual(values(read), values([{ value: fits }, { value: Buffer.from('small') }]))
}

async function longPoll(scenario) {
  await scenario.create()
  const producer = await scenario.producer()
  const write = number => scenario.send(producer, [{ partition: 0, value: `${number}` }])
  await write(0)
  // The session is long because heartbeats wait behind the fetch.
  const reader = await Reader.start(scenario, { maxWaitTimeInMs: 20_000, minBytes: 1, sessionTimeout: 60_000 })
  await reader.reads([0])
  for (const number of range(1, 21)) {
    await until('a fetch that waits', () => reader.take() ?? reader.fetching)
    assert.deepEqual(await write(number), [number])
    const acknowledged = Date.now()
    await reader.reads([number])
    const waited = Date.now() - acknowledged
    assert(waited < LATENCY_MAX_MS, `record ${number} came after ${waited} ms`)
  }
  await Promise.all([reader.stop(), write(21)])
}

module.exports = { headers, idempotent, large, longPoll, produce }
