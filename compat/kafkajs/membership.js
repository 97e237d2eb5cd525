// Scenarios of members that share a topic.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const { PROMPT, brokerError, pause, range, until } = require('./case')

const COMMIT_EACH = 7
// A commit that the group refuses while it rebalances.
const REBALANCING = ['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS']
const RECORDS_BEFORE = 300
const RECORDS_AFTER = 1000
const PAUSE_MS = 50

/** A member that owns partitions, and reads each from an offset at which the group may have it committed. */
class Member {
  constructor(group) {
    this.group = group
    this.positions = new Map()
    this.read = 0
    this.consumer = group.case.kafka.consumer({ groupId: group.case.group, ...PROMPT })
    const { CRASH, GROUP_JOIN, REBALANCING } = this.consumer.events
    this.consumer.on(CRASH, ({ payload }) => {
      this.positions.clear()
      if (payload.restart) return
      // The client does not try again where no broker was there to name the coordinator: its user has to.
      if (payload.error.cause?.name !== 'KafkaJSGroupCoordinatorNotFound') this.crash = payload.error
      else this.start().catch(error => (this.crash ??= error))
    })
    this.consumer.on(REBALANCING, () => this.positions.clear())
    this.consumer.on(GROUP_JOIN, ({ payload }) => this.own(payload.memberAssignment[group.case.topic] ?? []))
  }

  async start() {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic: this.group.case.topic, fromBeginning: true })
    await this.consumer.run({ autoCommit: false, eachMessage: message => this.guarded(message) })
  }

  /** The client takes an exception for one that a retry may mend, so the first is kept for the scenario. */
  async guarded({ partition, message }) {
    try {
      await this.take(partition, Number(message.offset), message.value.toString())
    } catch (error) {
      if (!error.name.startsWith('KafkaJS')) this.crash ??= error
      throw error
    }
  }

  own(partitions) {
    this.positions.clear()
    for (const partition of partitions) {
      for (const other of this.group.members) assert(!other.positions.has(partition), `two owners of ${partition}`)
      this.positions.set(partition, this.group.committed[partition])
    }
  }

  async take(partition, offset, value) {
    const positions = this.positions.get(partition)
    assert(positions?.has(offset), `${partition}: ${offset} came, not ${[...(positions ?? [])]}`)
    this.positions.set(partition, new Set([offset + 1]))
    this.group.delivered.set(`${partition} ${offset}`, value)
    // Not each, so that partitions move with records that were read and not committed.
    if (++this.read % COMMIT_EACH === 0) await this.commit([partition])
  }

  async commit(partitions = [...this.positions.keys()]) {
    const { topic } = this.group.case
    for (const partition of partitions) {
      const offset = Math.max(...this.positions.get(partition))
      try {
        await this.consumer.commitOffsets([{ topic, partition, offset: `${offset}` }])
        this.group.committed[partition] = new Set([offset])
      } catch (error) {
        // Its answer may have been lost: the next owner may begin at either offset.
        if (!REBALANCING.includes(brokerError(error))) this.group.committed[partition].add(offset)
        throw error
      }
    }
  }
}

/** The members of a group, and what was written, delivered and committed. */
class Group {
  static async create(scenario, partitions) {
    const group = new Group()
    group.case = scenario
    group.partitions = partitions
    group.members = []
    group.written = new Map()
    group.delivered = new Map()
    group.committed = range(0, partitions).map(() => new Set([0]))
    group.ends = range(0, partitions).map(() => 0)
    await scenario.create(partitions)
    group.producer = await scenario.producer({ idempotent: true, maxInFlightRequests: 1 })
    return group
  }

  async join(count) {
    const joining = range(0, count).map(() => new Member(this))
    this.members.push(...joining)
    await Promise.all(joining.map(member => member.start()))
  }

  async leave(member) {
    this.members = this.members.filter(other => other !== member)
    await member.consumer.disconnect()
  }

  async write(count) {
    const messages = range(0, count).map(number => ({ partition: number % this.partitions, value: `record ${number}` }))
    const offsets = await this.case.send(this.producer, messages, { acks: -1 })
    messages.forEach(({ partition, value }, n) => {
      this.written.set(`${partition} ${offsets[n]}`, value)
      this.ends[partition] = offsets[n] + 1
    })
  }

  until(what, ask) {
    return until(what, () => {
      for (const { crash } of this.members) if (crash) throw crash
      return ask()
    })
  }

  /** Waits until the members have equal shares of all partitions. */
  shared() {
    const share = this.partitions / this.members.length
    return this.until(`shares of ${share}`, () => this.members.every(({ positions }) => positions.size === share))
  }

  /** Reads and commits everything that was written; each record is what it was. */
  async read() {
    await this.until('all records', () => this.delivered.size >= this.written.size)
    assert.deepEqual(new Map([...this.delivered].sort()), new Map([...this.written].sort()))
    await this.until('all partitions read', () =>
      this.ends.every((end, partition) => this.members.some(({ positions }) => positions.get(partition)?.has(end))),
    )
    for (const member of this.members) await member.commit()
    assert.deepEqual(this.committed, this.ends.map(end => new Set([end])))
  }

  async close() {
    await Promise.all(this.members.map(({ consumer }) => consumer.disconnect()))
  }
}

async function group(scenario) {
  const group = await Group.create(scenario, 6)
  await group.write(150)
  await group.join(3)
  await group.shared()
  await group.write(150)
  await group.until('some records', () => group.delivered.size >= 100)
  await group.leave(group.members[0])
  await group.write(150)
  await group.shared()
  await group.until('some more records', () => group.delivered.size >= 300)
  await group.write(150)
  await group.join(1)
  await group.shared()
  await group.read()
  assert.equal(group.delivered.size, 600)
  await group.close()
}

/** A promise of the end of a connection: it sees the broker go. */
async function brokerEnds(bootstrap) {
  const [host, port] = bootstrap.split(':')
  const socket = net.connect({ host, port: Number(port) })
  let closed = false
  socket.on('error', () => {}).on('close', () => (closed = true)).resume()
  await until('a connection', () => socket.readyState === 'open')
  return () => closed
}

async function restart(scenario) {
  const group = await Group.create(scenario, 4)
  await group.join(2)
  await group.shared()
  const closed = await brokerEnds(scenario.bootstrap)
  let stopped = false
  let failed
  const writing = (async () => {
    for (; !stopped; await pause(PAUSE_MS)) await group.write(20)
  })().catch(error => (failed = error))
  const until = (what, ask) => group.until(what, () => { if (failed) throw failed; return ask() })
  await until('records', () => group.written.size >= RECORDS_BEFORE)
  console.log('restart')
  await until("the broker's end", closed)
  const before = group.written.size
  await until('more records', () => group.written.size >= before + RECORDS_AFTER)
  stopped = true
  await writing
  await group.read()
  await group.close()
}

module.exports = { group, restart }
