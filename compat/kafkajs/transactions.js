// Scenarios of transactions, and what readers see of them.
'use strict'

const assert = require('node:assert/strict')
const { Reader, brokerError, pause, range, refusal, until } = require('./case')

const PARTITIONS = 3
// Records of transactions that are committed and aborted in turn.
const SIZES = [1, 100, 100, 1, 0, 0, 37, 12, 64, 3, 99, 50, 0, 7, 2, 0, 20, 88]
const PROMPT_MS = 5000
const STILL_MS = 300
const TIMEOUT_MS = 1000
const MAX_TIMEOUT_MS = 900_000
// What the broker says to a producer that another has replaced.
const FENCED = ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED']
const COMMITTED = { readUncommitted: false }
const UNCOMMITTED = { readUncommitted: true }

/** A producer of transactions, of one request at a time, as the client's guide has it. */
function transactional(scenario, what, settings = {}) {
  const transactionalId = `${scenario.topic}-${what}`
  return scenario.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, ...settings })
}

const messages = values => values.map((value, number) => ({ partition: number % PARTITIONS, value }))

/** Asks again while the broker is ending the transaction before: the client leaves that to its user. */
const patient = call =>
  until('the end of the transaction before', async () => {
    try {
      return [await call()]
    } catch (error) {
      if (brokerError(error) !== 'CONCURRENT_TRANSACTIONS') throw error
      return undefined
    }
  })

/** Sends messages as part of a transaction; returns the partition, offset and value of each. */
async function send(scenario, transaction, all, topic = scenario.topic) {
  if (all.length === 0) return []
  const [offsets] = await patient(() => scenario.send(transaction, all, { topic }))
  return all.map(({ partition, value }, number) => [partition, offsets[number], value])
}

const end = (transaction, commits) => (commits ? transaction.commit() : transaction.abort())

const sorted = places => places.sort(([p, offset], [q, other]) => p - q || offset - other)

/** So many records from the beginning; the last of each partition is the last one there. */
async function reads(scenario, isolation, count, topic = scenario.topic) {
  const groupId = `${scenario.group}-reads-${isolation.readUncommitted}`
  const reader = await Reader.start(scenario, { groupId, ...isolation }, { topic })
  await until(`${count} records`, () => reader.take() ?? reader.records.length >= count)
  await reader.stop()
  return sorted(reader.records.map(({ partition, offset, value }) => [partition, Number(offset), `${value}`]))
}

async function transactions(scenario) {
  const admin = await scenario.create(PARTITIONS)
  const producer = await transactional(scenario, 'writer')
  const sent = []
  const committed = []
  const ends = Array(PARTITIONS).fill(0)
  const expect = places => {
    for (const [partition, offset] of places) assert.equal(offset, ends[partition]++)
    sent.push(...places)
  }
  for (const [number, size] of SIZES.entries()) {
    const commits = number % 2 === 0
    const transaction = await producer.transaction()
    const places = await send(scenario, transaction, messages(range(0, size).map(n => `${1000 * number + n}`)))
    await end(transaction, commits)
    expect(places)
    if (commits) committed.push(...places)
    // The marker that ends a transaction takes an offset in each of its partitions.
    for (const partition of new Set(places.map(([partition]) => partition))) ends[partition]++
  }
  // The end of a transaction is answered before its markers are written.
  await until('the last markers', async () => {
    const bounds = await scenario.bounds(admin)
    return bounds.every(([, end], partition) => end === ends[partition])
  })
  const outside = await scenario.producer()
  const last = await send(scenario, outside, messages(['last', 'last', 'last']))
  expect(last)
  assert.deepEqual(await reads(scenario, UNCOMMITTED, sent.length), sorted(sent))
  assert.deepEqual(await reads(scenario, COMMITTED, committed.length + PARTITIONS), sorted([...committed, ...last]))
  for (const commits of [true, false]) await hides(scenario, { admin, producer, outside }, commits)
}

/** What readers at the end see of a transaction and of a record outside that comes after it. */
async function hides(scenario, { admin, producer, outside }, commits) {
  // The client names the end only by its offset, which is the beginning here.
  const topic = `${scenario.topic}-${commits}`
  await scenario.createTopic(admin, { topic, numPartitions: 1 })
  const atEnd = (what, isolation) => {
    const groupId = `${topic}-${what}`
    // The session is long because heartbeats wait behind the fetch.
    const settings = { groupId, maxWaitTimeInMs: 20_000, minBytes: 1, sessionTimeout: 60_000, ...isolation }
    return Reader.start(scenario, settings, { topic })
  }
  const everything = await atEnd('everything', UNCOMMITTED)
  const decided = await atEnd('decided', COMMITTED)
  const transaction = await producer.transaction()
  const write = (writer, value) => send(scenario, writer, messages([value]), topic)
  assert.deepEqual(await write(transaction, 'inside'), [[0, 0, 'inside']])
  assert.deepEqual(await write(outside, 'outside'), [[0, 1, 'outside']])
  await everything.reads([0, 1])
  await pause(STILL_MS)
  assert.deepEqual(decided.take() ?? decided.records, [])
  const ended = Date.now()
  await end(transaction, commits)
  await decided.reads(commits ? [0, 1] : [1])
  const waited = Date.now() - ended
  assert(waited < PROMPT_MS, `what was decided came after ${waited} ms`)
  const [{ high }] = await admin.fetchTopicOffsets(topic)
  assert.equal(high, '3')
  await Promise.all([everything.stop(), decided.stop(), write(outside, 'for the fetches that wait')])
}

async function fencing(scenario) {
  await scenario.create()
  const reader = await Reader.start(scenario, COMMITTED)
  const comes = async (producer, value) => {
    const transaction = await producer.transaction()
    await send(scenario, transaction, messages([value]))
    await transaction.commit()
    await until('the record', () => reader.take() ?? reader.records.length > 0)
    assert.deepEqual(reader.records.splice(0).map(({ value }) => `${value}`), [value])
  }
  for (const sends of [true, false]) {
    const first = await transactional(scenario, 'writer')
    await comes(first, 'of the first')
    const open = await first.transaction()
    await send(scenario, open, messages(['left open']))
    const second = await transactional(scenario, 'writer')
    await comes(second, 'of the second')
    const fenced = async call => assert(FENCED.includes(await refusal(call)))
    if (sends) await fenced(scenario.send(open, messages(['late'])))
    await fenced(end(open, !sends))
    await comes(second, 'later')
  }
  await reader.stop()
}

async function transactionTimeout(scenario) {
  await scenario.create()
  const patience = await transactional(scenario, 'patient', { transactionTimeout: MAX_TIMEOUT_MS + 1 })
  assert.equal(await refusal(patience.transaction()), 'INVALID_TRANSACTION_TIMEOUT')
  const reader = await Reader.start(scenario, COMMITTED)
  const slow = await transactional(scenario, 'slow', { transactionTimeout: TIMEOUT_MS })
  const transaction = await slow.transaction()
  await send(scenario, transaction, messages(['too late']))
  assert.deepEqual(await scenario.fill(1), [1])
  await reader.reads([1])
  const code = await refusal(transaction.commit())
  assert(FENCED.includes(code), code)
  await reader.stop()
}

const RECORDS = 300
const AT_ONCE = 50

/** The client cannot say which member of the group commits. */
async function exactlyOnce(scenario) {
  const admin = await scenario.create(PARTITIONS)
  const output = `${scenario.topic}-output`
  await scenario.createTopic(admin, { topic: output, numPartitions: PARTITIONS })
  const outside = await scenario.producer()
  await scenario.send(outside, messages(range(0, RECORDS).map(number => `${number}`)))
  const committed = new Map()
  const done = []

  const isCommitted = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId: scenario.group, topics: [scenario.topic] })
    return partitions.every(({ partition, offset }) => Number(offset) === (committed.get(partition) ?? -1))
  }

  const step = async (reader, producer, commits = true) => {
    const left = RECORDS - done.length
    await until('records', () => reader.take() ?? reader.records.length >= Math.min(left, AT_ONCE))
    const offsets = new Map(committed)
    const transformed = reader.records.splice(0, AT_ONCE).map(({ partition, offset, value }) => {
      assert.equal(Number(offset), offsets.get(partition) ?? 0)
      offsets.set(partition, Number(offset) + 1)
      return { partition, value: `transformed ${value}` }
    })
    const transaction = await producer.transaction()
    const places = await send(scenario, transaction, transformed, output)
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: `${offset}` }))
    await transaction.sendOffsets({ consumerGroupId: scenario.group, topics: [{ topic: scenario.topic, partitions }] })
    assert(await isCommitted())
    await end(transaction, commits)
    if (commits) {
      offsets.forEach((offset, partition) => committed.set(partition, offset))
      done.push(...places)
    }
    // The end is answered before the group's coordinator has heard of it.
    await until('the committed offsets', isCommitted)
  }

  const start = async () => [await Reader.start(scenario, COMMITTED), await transactional(scenario, 'writer')]
  const [first, firstProducer] = await start()
  for (const commits of [true, true, false]) await step(first, firstProducer, commits)
  await first.stop()
  const [second, secondProducer] = await start()
  while (done.length < RECORDS) await step(second, secondProducer)
  await second.stop()

  const last = await send(scenario, outside, messages(['last', 'last', 'last']), output)
  const expected = sorted([...done, ...last])
  assert.deepEqual(await reads(scenario, COMMITTED, RECORDS + PARTITIONS, output), expected)
  const values = done.map(([, , value]) => value).sort()
  assert.deepEqual(values, range(0, RECORDS).map(number => `transformed ${number}`).sort())
}

module.exports = { exactlyOnce, fencing, transactionTimeout, transactions }
