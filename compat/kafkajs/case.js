// One run of a scenario: its topic, its group, and what most scenarios do with them.
'use strict'

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')
const { Kafka, Partitioners, logLevel } = require('kafkajs')

const TIMEOUT_MS = 60_000
const POLL_MS = 10

// Consumers that do not wait long for records before they look after their group, and stop when they are told.
const PROMPT = { heartbeatInterval: 100, maxWaitTimeInMs: 100 }

/** The client's documented interface cannot express the scenario; the message says what lacks. */
class NotApplicable extends Error {}

/** Asks until the answer is true. */
async function until(what, ask) {
  const deadline = Date.now() + TIMEOUT_MS
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    assert(Date.now() < deadline, `${what} did not come within ${TIMEOUT_MS} ms`)
    await pause(POLL_MS)
  }
}

/** The name of the broker's error behind one of the client, undefined where the client itself gave up. */
function brokerError(error) {
  const [first] = error.errors ?? [error]
  return first.type ?? first.cause?.type
}

/** The name of the broker's error that a promise must end with. */
async function refusal(promise) {
  let answer
  try {
    answer = await promise
  } catch (error) {
    if (!brokerError(error)) throw error
    return brokerError(error)
  }
  return assert.fail(`no error but ${JSON.stringify(answer)}`)
}

const range = (start, end) => Array.from({ length: end - start }, (_, n) => start + n)

/** Values of 0 to sizeMax bytes, the same in every run, half of each fit for compression. */
function bytesOfSizes(count, sizeMax) {
  let state = count
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
  const value = size => {
    const noise = Buffer.from(range(0, size >> 1).map(() => random() * 256))
    return Buffer.concat([noise, Buffer.alloc(size - noise.length, 'compressible ')])
  }
  return [value(0), value(sizeMax), ...range(2, count).map(() => value(Math.floor(random() * (sizeMax + 1))))]
}

class Case {
  constructor(bootstrap, scenario) {
    this.bootstrap = bootstrap
    this.topic = this.group = `compat-${scenario}-${randomUUID()}`
    // Short pauses before it connects again, for brokers that are restarted.
    const retry = { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 }
    this.kafka = new Kafka({ clientId: 'compat', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry })
    this.opened = []
  }

  async open(client) {
    await client.connect()
    this.opened.push(client)
    return client
  }

  async close() {
    for (const client of this.opened.reverse()) await client.disconnect()
  }

  /** Creates the topic and returns the administrator. */
  async create(numPartitions = 1) {
    const admin = await this.open(this.kafka.admin())
    await this.createTopic(admin, { topic: this.topic, numPartitions })
    return admin
  }

  /** The client's own waiting for leaders fails where the broker does not know the topic at once. */
  async createTopic(admin, config) {
    assert.equal(await admin.createTopics({ topics: [config], waitForLeaders: false }), true)
    await until('leaders', async () => {
      const { topics } = await admin.fetchTopicMetadata()
      const { partitions } = topics.find(({ name }) => name === config.topic) ?? { partitions: [] }
      return partitions.filter(({ leader }) => leader >= 0).length === config.numPartitions
    })
  }

  producer(settings = {}) {
    return this.open(this.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...settings }))
  }

  /** Sends messages that name their partitions; returns the offset of each, none with acks 0. */
  async send(producer, messages, options = {}) {
    const answers = await producer.send({ topic: this.topic, messages, ...options })
    const next = new Map(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
    return messages.map(({ partition }) => {
      const offset = next.get(partition)
      next.set(partition, offset + 1)
      return offset
    })
  }

  /** Writes numbered records to partition 0. */
  async fill(count) {
    const producer = await this.producer()
    return this.send(producer, range(0, count).map(number => ({ partition: 0, value: `${number}` })))
  }

  /** The beginning and end of each partition. */
  async bounds(admin) {
    const offsets = await admin.fetchTopicOffsets(this.topic)
    offsets.sort((one, other) => one.partition - other.partition)
    return offsets.map(({ low, high }) => [Number(low), Number(high)])
  }

  /** All records of each partition, which must be as many as counted, at the offsets from 0. */
  async readBack(admin, counts) {
    const reader = await Reader.start(this, { groupId: `${this.group}-back` })
    await until(`${counts} records`, () => reader.take() ?? counts.every((n, p) => reader.of(p).length >= n))
    await reader.stop()
    assert.deepEqual(await this.bounds(admin), counts.map(count => [0, count]))
    return counts.map((count, partition) => {
      const records = reader.of(partition)
      assert.deepEqual(records.map(({ offset }) => Number(offset)), range(0, count))
      return records
    })
  }
}

/** A consumer that keeps what it reads. */
class Reader {
  constructor(scenario, settings) {
    this.case = scenario
    this.records = []
    this.joins = 0
    this.fetching = false
    this.consumer = scenario.kafka.consumer({ groupId: scenario.group, ...PROMPT, ...settings })
    const { GROUP_JOIN, CRASH, FETCH_START, FETCH } = this.consumer.events
    this.consumer.on(GROUP_JOIN, () => this.joins++)
    this.consumer.on(FETCH_START, () => (this.fetching = true))
    this.consumer.on(FETCH, () => (this.fetching = false))
    // The client itself starts anew after what a retry may mend, such as a coordinator that is loading.
    this.consumer.on(CRASH, ({ payload }) => payload.restart || (this.crash = payload.error))
  }

  /** Starts one and waits for its assignment. */
  static async start(scenario, settings = {}, { topic = scenario.topic, fromBeginning = true, ...options } = {}) {
    const reader = new Reader(scenario, settings)
    await reader.consumer.connect()
    await reader.consumer.subscribe({ topic, fromBeginning })
    const eachMessage = async ({ partition, message }) => void reader.records.push({ partition, ...message })
    await reader.consumer.run({ autoCommit: false, eachMessage, ...options })
    await until('the assignment', () => reader.take() ?? reader.joins > 0)
    return reader
  }

  /** Nothing, or the error that ended the consumer. */
  take() {
    if (this.crash) throw this.crash
    return undefined
  }

  of(partition) {
    return this.records.filter(record => record.partition === partition)
  }

  /** Reads exactly these offsets of partition 0 next. */
  async reads(offsets) {
    await until(`${offsets.length} records`, () => this.take() ?? this.records.length >= offsets.length)
    assert.deepEqual(this.records.splice(0).map(({ offset }) => Number(offset)), offsets)
  }

  seek(offset) {
    this.consumer.seek({ topic: this.case.topic, partition: 0, offset: `${offset}` })
  }

  commit(offset, metadata) {
    return this.consumer.commitOffsets([{ topic: this.case.topic, partition: 0, offset: `${offset}`, metadata }])
  }

  stop() {
    return this.consumer.disconnect()
  }
}

module.exports = { Case, NotApplicable, PROMPT, Reader, brokerError, bytesOfSizes, pause, range, refusal, until }
