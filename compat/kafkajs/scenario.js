// The scenarios of compat/README.md.
//
// scenario.js versions                    a line "CLIENT VERSION"
// scenario.js kafkajs SCENARIO BOOTSTRAP  runs one; status 77 and a last line that says why if it is not applicable
// scenario.js kafkajs member OPTION...    is a member of the checker's group
'use strict'

const { CompressionTypes } = require('kafkajs')
const { Case, NotApplicable } = require('./case')
const { commit } = require('./commits')
const { member } = require('./member')
const { group, restart } = require('./membership')
const { headers, idempotent, large, longPoll, produce } = require('./records')
const { admin, deleteRecords, seek } = require('./topics')
const { exactlyOnce, fencing, transactionTimeout, transactions } = require('./transactions')

const NOT_APPLICABLE = 77

const lacks = what => async () => {
  throw new NotApplicable(what)
}

const NO_NEW_GROUPS = 'kafkajs has only the classic protocol of groups: no group.protocol'

const SCENARIOS = {
  admin,
  'produce-none': scenario => produce(scenario, CompressionTypes.None),
  'produce-gzip': scenario => produce(scenario, CompressionTypes.GZIP),
  'produce-snappy': scenario => produce(scenario, CompressionTypes.Snappy),
  'produce-lz4': scenario => produce(scenario, CompressionTypes.LZ4),
  'produce-zstd': scenario => produce(scenario, CompressionTypes.ZSTD),
  idempotent,
  headers,
  large,
  group,
  'group-new': lacks(NO_NEW_GROUPS),
  static: lacks('kafkajs has no static membership: its consumers take no group.instance.id'),
  'static-new': lacks(NO_NEW_GROUPS),
  cooperative: lacks('kafkajs has no cooperative rebalancing: its members revoke everything'),
  regex: lacks('kafkajs reads a pattern once, when it subscribes: topics that are created later are not seen'),
  migrate: lacks(NO_NEW_GROUPS),
  seek,
  commit,
  'delete-records': deleteRecords,
  'long-poll': longPoll,
  restart,
  transactions,
  fencing,
  'exactly-once': exactlyOnce,
  'exactly-once-new': lacks(NO_NEW_GROUPS),
  'transaction-timeout': transactionTimeout,
  'transactions-admin': lacks("the client's administration knows no transactions"),
}

async function main([client, name, ...rest]) {
  if (client === 'versions') {
    console.log(`kafkajs ${require('kafkajs/package.json').version}`)
    return 0
  }
  if (client === 'kafkajs' && name === 'member') return member(rest)
  const run = SCENARIOS[name]
  const [bootstrap] = rest
  if (client !== 'kafkajs' || !run || !bootstrap) {
    console.error('usage: scenario.js versions | kafkajs SCENARIO BOOTSTRAP')
    return 2
  }
  const scenario = new Case(bootstrap, name)
  try {
    await run(scenario)
    await scenario.close()
    return 0
  } catch (error) {
    if (!(error instanceof NotApplicable)) throw error
    console.log(error.message)
    return NOT_APPLICABLE
  }
}

// The client keeps timers after a failure: the process ends with the outcome.
main(process.argv.slice(2)).then(
  status => process.exit(status),
  error => {
    console.error(error)
    process.exit(1)
  },
)
