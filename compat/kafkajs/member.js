// A member of the checker's group; ../checker/journal.rs says what the lines of its journal mean.
'use strict'

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { Kafka, PartitionAssigners, logLevel } = require('kafkajs')

const COMMIT_INTERVAL_MS = 100
const FETCH_MAX_WAIT_MS = 100
const LEAVE_TIMEOUT_MS = 120_000
const ASSIGNERS = { roundrobin: PartitionAssigners.roundRobin }

const NAMES = ['bootstrap', 'topic', 'group', 'journal', 'protocol', 'assignor', 'commit', 'session-ms']

// CLOCK_MONOTONIC.
const now = () => process.hrtime.bigint()

const oneLine = error => `${error}`.replaceAll(/[\r\n]/g, ' ')
const oneWord = value => value?.toString().replaceAll(/\s/g, '?') || '?'
const pairs = offsets => offsets.map(([partition, offset]) => ` ${partition}:${offset}`).join('')

class Member {
  constructor(options) {
    this.options = options
    this.journal = fs.openSync(options.journal, 'ax')
    this.commitsItself = options.commit === 'manual'
    this.owned = []
    // Assigned, and the committed offset not read back yet.
    this.fresh = []
    const kafka = new Kafka({
      clientId: 'member',
      brokers: [options.bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
    })
    this.admin = kafka.admin()
    this.consumer = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionMs,
      heartbeatInterval: options.sessionMs / 6,
      maxWaitTimeInMs: FETCH_MAX_WAIT_MS,
      partitionAssigners: [ASSIGNERS[options.assignor]],
    })
    this.follow()
  }

  /** One line in one write, so that a killed process loses nothing but a torn last line. */
  append(line) {
    fs.writeSync(this.journal, `${line}\n`)
  }

  follow() {
    const { CRASH, COMMIT_OFFSETS, GROUP_JOIN, REBALANCING } = this.consumer.events
    // It tells of a rebalance that the heartbeat brought, and of nothing that made the group forget the member: what is
    // assigned then replaces the old assignment.
    this.consumer.on(REBALANCING, () => this.revoke())
    this.consumer.on(GROUP_JOIN, ({ payload }) => this.assign(payload.memberAssignment[this.options.topic] ?? []))
    this.consumer.on(CRASH, ({ payload }) => {
      this.append(`note crash: ${oneLine(payload.error)}`)
      this.revoke()
      if (!payload.restart) this.fail(payload.error)
    })
    if (this.commitsItself) return
    this.consumer.on(COMMIT_OFFSETS, ({ payload }) => {
      const offsets = payload.topics.flatMap(topic => topic.partitions)
      this.append(`committed 0 ${now()}${pairs(offsets.map(({ partition, offset }) => [partition, offset]))}`)
    })
  }

  /** Comes before the client asks for the committed offsets. */
  assign(partitions) {
    this.revoke()
    this.owned = this.fresh = partitions
    if (partitions.length > 0) this.append(['assigned', now(), ...partitions].join(' '))
  }

  revoke() {
    if (this.owned.length > 0) this.append(['revoked', now(), ...this.owned].join(' '))
    this.owned = this.fresh = []
  }

  async readBack() {
    const { group: groupId, topic } = this.options
    const fresh = this.fresh
    this.fresh = []
    const began = now()
    try {
      const [{ partitions }] = await this.admin.fetchOffsets({ groupId, topics: [topic] })
      const read = partitions.filter(({ partition }) => fresh.includes(partition))
      this.append(`read ${began} ${now()}${pairs(read.map(({ partition, offset }) => [partition, offset]))}`)
    } catch (error) {
      this.append(`note read: ${oneLine(error)}`)
    }
  }

  /**
   * The client asks for a rebalance between batches only, so that a batch is of one assignment. What it holds is
   * committed as a whole: with the next one it may be too late, if none comes.
   */
  async take({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) {
    if (this.fresh.length > 0) await this.readBack()
    const { topic, partition } = batch
    let last
    for (const { offset, value } of batch.messages) {
      if (!isRunning() || isStale()) break
      this.append(`delivered ${partition} ${offset} ${oneWord(value)}`)
      resolveOffset(offset)
      last = offset
    }
    if (this.commitsItself && last !== undefined) await this.commit(topic, partition, `${BigInt(last) + 1n}`, commitOffsetsIfNecessary)
    await heartbeat()
  }

  async commit(topic, partition, offset, send) {
    const sent = now()
    try {
      await send({ topics: [{ topic, partitions: [{ partition, offset }] }] })
    } catch (error) {
      this.append(`note commit: ${oneLine(error)}`)
      throw error
    }
    this.append(`committed ${sent} ${now()} ${partition}:${offset}`)
  }

  async run() {
    await this.admin.connect()
    await this.consumer.connect()
    await this.consumer.subscribe({ topic: this.options.topic, fromBeginning: true })
    await this.consumer.run({
      autoCommit: !this.commitsItself,
      autoCommitInterval: COMMIT_INTERVAL_MS,
      // What was not looked at because the member leaves is not read.
      eachBatchAutoResolve: false,
      eachBatch: batch => this.take(batch),
    })
  }

  async leave() {
    await this.consumer.disconnect()
    this.revoke()
    await this.admin.disconnect()
  }

  fail(error) {
    this.append(`error ${oneLine(error)}`)
    throw error
  }
}

/** A member until standard input closes: the sign to leave, also when whoever started this process is gone. */
async function member(args) {
  const { values } = parseArgs({ args, options: Object.fromEntries(NAMES.map(name => [name, { type: 'string' }])) })
  const options = { ...values, sessionMs: Number(values['session-ms']) }
  if (!ASSIGNERS[options.assignor] || options.protocol !== 'classic') {
    throw new Error(`kafkajs has no assignor ${options.assignor} with the ${options.protocol} protocol`)
  }
  const member = new Member(options)
  const left = new Promise(resolve => process.stdin.on('close', resolve).resume())
  try {
    await member.run()
  } catch (error) {
    member.fail(error)
  }
  await left
  // Nobody may be left to end a member that cannot leave.
  setTimeout(() => process.exit(3), LEAVE_TIMEOUT_MS).unref()
  await member.leave()
  return 0
}

module.exports = { member }
