// Scenarios of topics: their administration, and positions in them.
'use strict'

const assert = require('node:assert/strict')
const { ConfigResourceTypes, ConfigSource } = require('kafkajs')
const { Reader, range, refusal, until } = require('./case')

const RETENTION = 'retention.ms'
const DEFAULT_RETENTION_MS = `${7 * 24 * 60 * 60 * 1000}`

async function admin(scenario) {
  const { topic } = scenario
  const admin = await scenario.open(scenario.kafka.admin())
  const configEntries = [{ name: RETENTION, value: '123456' }]
  const created = { topic, numPartitions: 3, configEntries }
  await scenario.createTopic(admin, created)
  await until('the topic in the list', async () => (await admin.listTopics()).includes(topic))

  const { brokers, controller, clusterId } = await admin.describeCluster()
  const [{ nodeId, host, port }] = brokers
  assert.deepEqual([brokers.length, controller, `${host}:${port}`], [1, nodeId, scenario.bootstrap])
  assert(clusterId)
  const partitions = async () => {
    const [{ partitions }] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics
    for (const { leader, replicas, isr } of partitions) assert.deepEqual([leader, replicas, isr], [nodeId, [nodeId], [nodeId]])
    return partitions.map(({ partitionId }) => partitionId).sort()
  }
  assert.deepEqual(await partitions(), range(0, 3))

  const type = ConfigResourceTypes.TOPIC
  const config = async (value, configSource) => {
    const { resources } = await admin.describeConfigs({ resources: [{ type, name: topic, configNames: [RETENTION] }] })
    const entries = resources.flatMap(resource => resource.configEntries)
    assert.deepEqual(entries.map(entry => entry.configName), [RETENTION])
    return entries[0].configValue === value && entries[0].configSource === configSource
  }
  const alter = entries => admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries: entries }] })
  await until('the configuration', () => config('123456', ConfigSource.TOPIC_CONFIG))
  await alter([{ name: RETENTION, value: '654321' }])
  await until('the change', () => config('654321', ConfigSource.TOPIC_CONFIG))
  await alter([])
  await until('the default', () => config(DEFAULT_RETENTION_MS, ConfigSource.DEFAULT_CONFIG))

  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await until('5 partitions', async () => (await partitions()).length === 5)
  // That the topic exists is the one refusal that the client reports as an answer.
  assert.equal(await admin.createTopics({ topics: [created] }), false)
  const replicated = { topic: `${topic}-replicated`, numPartitions: 1, replicationFactor: 3 }
  assert.equal(await refusal(admin.createTopics({ topics: [replicated] })), 'INVALID_REPLICATION_FACTOR')

  await admin.deleteTopics({ topics: [topic] })
  await until("the topic's end", async () => !(await admin.listTopics()).includes(topic))
  const impatient = await scenario.open(scenario.kafka.admin({ retry: { retries: 0 } }))
  assert.equal(await refusal(impatient.fetchTopicMetadata({ topics: [topic] })), 'UNKNOWN_TOPIC_OR_PARTITION')
}

async function seek(scenario) {
  const admin = await scenario.create()
  const producer = await scenario.producer()
  const start = Date.now() - 100_000
  const write = (number, ms) => scenario.send(producer, [{ partition: 0, value: `${number}`, timestamp: `${start + ms}` }])
  for (const number of range(0, 10)) assert.deepEqual(await write(number, 1000 * number), [number])
  const reader = await Reader.start(scenario)
  await reader.reads(range(0, 10))
  for (const offset of [3, 8, 0]) {
    reader.seek(offset)
    await reader.reads(range(offset, 10))
  }
  // The client names the beginning and the end by their offsets. For a time after all records it answers with the end.
  for (const [ms, offset] of [[-5000, 0], [0, 0], [1, 1], [2500, 3], [3000, 3], [8001, 9], [9000, 9], [9001, 10]]) {
    const found = await admin.fetchTopicOffsetsByTimestamp(scenario.topic, start + ms)
    assert.deepEqual(found, [{ partition: 0, offset: `${offset}` }], `${ms}`)
  }
  const [[low, high]] = await scenario.bounds(admin)
  assert.deepEqual([low, high], [0, 10])
  reader.seek(low)
  await reader.reads(range(0, 10))
  reader.seek(high)
  assert.deepEqual(await write(10, 10_000), [10])
  await reader.reads([10])
  await reader.stop()
}

async function deleteRecords(scenario) {
  const admin = await scenario.create()
  await scenario.fill(100)
  const deleteBefore = offset => admin.deleteTopicRecords({ topic: scenario.topic, partitions: [{ partition: 0, offset }] })
  // This makes the client look for the leader.
  assert.deepEqual(await scenario.bounds(admin), [[0, 100]])
  await deleteBefore('40')
  assert.deepEqual(await scenario.bounds(admin), [[40, 100]])
  const earliest = await Reader.start(scenario)
  await earliest.reads(range(40, 100))
  earliest.seek(0)
  await earliest.reads(range(40, 100))
  await earliest.stop()
  const latest = await Reader.start(scenario, { groupId: `${scenario.group}-latest` }, { fromBeginning: false })
  latest.seek(0)
  let written = 0
  // What is written before the client has found the end is no matter, but nothing older comes.
  await until('a new record', async () => {
    written += (await scenario.fill(1)).length
    return latest.take() ?? latest.records.length > 0
  })
  const [first] = latest.records
  assert(Number(first.offset) >= 100, first.offset)
  await latest.stop()
  await deleteBefore('-1')
  assert.deepEqual(await scenario.bounds(admin), [[100 + written, 100 + written]])
}

module.exports = { admin, deleteRecords, seek }
