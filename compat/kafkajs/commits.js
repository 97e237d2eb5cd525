// Scenario of offsets that are committed in every way the client has, and found again.
'use strict'

const assert = require('node:assert/strict')
const { Reader, range, refusal, until } = require('./case')

const METADATA = 'an der Straße, 在拐角处'

async function commit(scenario) {
  const admin = await scenario.create()
  assert.deepEqual(await scenario.fill(50), range(0, 50))
  const committed = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId: scenario.group, topics: [scenario.topic] })
    const [{ partition, offset, metadata }, ...others] = partitions
    assert.deepEqual([partition, others], [0, []])
    return [Number(offset), metadata ?? '']
  }
  assert.deepEqual(await committed(), [-1, ''])

  const synchronous = await Reader.start(scenario)
  await synchronous.reads(range(0, 50))
  await synchronous.commit(4)
  assert.deepEqual(await committed(), [4, ''])
  await synchronous.commit(5, METADATA)
  assert.deepEqual(await committed(), [5, METADATA])
  assert.equal(await refusal(synchronous.commit(6, 'x'.repeat(4097))), 'OFFSET_METADATA_TOO_LARGE')
  assert.deepEqual(await committed(), [5, METADATA])
  await synchronous.stop()

  const asynchronous = await Reader.start(scenario)
  await asynchronous.reads(range(5, 50))
  const commits = [11, 12, 13].map(offset => asynchronous.commit(offset, 'x'.repeat(4096)))
  await Promise.all(commits)
  assert.deepEqual(await committed(), [13, 'x'.repeat(4096)])
  await asynchronous.stop()

  const automatic = await Reader.start(scenario, {}, { autoCommit: true, autoCommitInterval: 100 })
  await automatic.reads(range(13, 50))
  await until('the commit', async () => (await committed())[0] === 50)
  await automatic.stop()

  assert.deepEqual(await scenario.fill(10), range(50, 60))
  const closing = await Reader.start(scenario, {}, { autoCommit: true, autoCommitInterval: 3_600_000 })
  await closing.reads(range(50, 60))
  await closing.stop()
  assert.deepEqual(await committed(), [60, ''])

  // Commits without a member of one's own: the client's administrator sets the offsets of an empty group.
  await admin.setOffsets({ groupId: scenario.group, topic: scenario.topic, partitions: [{ partition: 0, offset: '25' }] })
  assert.deepEqual(await committed(), [25, ''])
  const last = await Reader.start(scenario)
  await last.reads(range(25, 60))
  await last.stop()
}

module.exports = { commit }
