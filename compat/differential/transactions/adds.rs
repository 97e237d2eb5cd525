//! AddPartitionsToTxn and AddOffsetsToTxn: what is added, and to several transactions.

use ottla::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTransaction,
};

use super::{ADD_MANY, Claim, Partitions, Producer, adding, describing, identity};
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "transactions-adds";
const OTHER: &str = "transactions-adds-2";

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 3, &[]);
    script.topic(OTHER, 1, &[]);
    for version in 0..=5 {
        shapes(script, version);
    }
    for version in ADD_MANY..=5 {
        several(script, version);
    }
    for version in 0..=4 {
        groups(script, version);
    }
}

fn shapes(script: &mut Script, version: i16) {
    let lists: [(&str, Partitions<'_>); 14] = [
        ("no topics", &[]),
        ("no partitions", &[(TOPIC, &[])]),
        ("a partition", &[(TOPIC, &[0])]),
        ("partitions", &[(TOPIC, &[2, 0, 1]), (OTHER, &[0])]),
        ("a partition twice", &[(TOPIC, &[0, 0])]),
        ("a topic twice", &[(TOPIC, &[0]), (TOPIC, &[1, 0])]),
        ("an unknown partition", &[(TOPIC, &[0, 3, 1])]),
        ("unknown partitions", &[(TOPIC, &[-1, i32::MAX])]),
        ("an unknown topic", &[("transactions-none", &[0]), (TOPIC, &[1]), (OTHER, &[0])]),
        ("bad names", &[("", &[0]), ("bad name", &[0]), (OTHER, &[0])]),
        ("offsets", &[("__consumer_offsets", &[0])]),
        ("offsets and a topic", &[("__consumer_offsets", &[1]), (TOPIC, &[0])]),
        ("transactions", &[("__transaction_state", &[0])]),
        ("metadata", &[("__cluster_metadata", &[0])]),
    ];
    for (number, (step, partitions)) in lists.into_iter().enumerate() {
        let id = format!("adds-v{version}-{number}");
        let mut producer = Producer::begun(script, &id);
        producer.add(step, version, Claim::OldEpoch, partitions);
        producer.add(step, version, Claim::EmptyId, partitions);
        producer.add(step, version, Claim::Right, partitions);
        producer.describe(step);
        let step = format!("{step} as well");
        producer.add("a partition", version, Claim::Right, &[(OTHER, &[0])]);
        producer.add(&step, version, Claim::Right, partitions);
        producer.describe(&step);
        producer.end(&step, 4, Claim::Right, true);
        producer.describe(&step);
    }
}

/// What a broker asks for those who write to it.
struct Asked<'a> {
    id: &'a str,
    claim: Claim,
    verify_only: bool,
    partitions: Partitions<'a>,
}

fn asking(side: &Side, asked: &[Asked<'_>]) -> AddPartitionsToTxnRequest {
    let transaction = |asked: &Asked<'_>| -> AddPartitionsToTxnTransaction {
        let mut request = adding(&identity(side, asked.id, asked.claim), asked.partitions);
        let transaction = request.transactions.remove(0);
        AddPartitionsToTxnTransaction { verify_only: asked.verify_only, ..transaction }
    };
    AddPartitionsToTxnRequest {
        transactions: asked.iter().map(transaction).collect(),
        ..Default::default()
    }
}

/// Several transactions in one request.
fn several(script: &mut Script, version: i16) {
    let ids = [0, 1, 2, 3].map(|number| format!("adds-several-v{version}-{number}"));
    for id in &ids {
        Producer::begun(script, id);
    }
    let [one, two, three, four] = [0, 1, 2, 3].map(|number| ids[number].as_str());
    let some: Partitions<'_> = &[(TOPIC, &[0, 1]), (OTHER, &[0])];
    let bad: Partitions<'_> = &[(TOPIC, &[0, 9])];
    let of = |id, claim, verify_only, partitions| Asked { id, claim, verify_only, partitions };
    let mut ask = |step: &str, asked: &[Asked<'_>]| {
        script.ask(step, version, |side| asking(side, asked));
        let asking = describing(&[one, two, three, four]);
        script.ask(step, 0, |_| asking.clone());
    };
    ask("verified before", &[of(one, Claim::Right, true, some), of(two, Claim::Right, true, bad)]);
    ask(
        "several",
        &[
            of(one, Claim::Right, false, some),
            of(two, Claim::OldEpoch, false, some),
            of(three, Claim::Right, false, bad),
            of(four, Claim::Right, true, some),
        ],
    );
    ask(
        "some right and some wrong",
        &[
            of(one, Claim::UnknownId, false, some),
            of(two, Claim::EmptyId, true, some),
            of(three, Claim::OtherProducer, true, bad),
            of(four, Claim::NewerEpoch, false, some),
            of(one, Claim::Right, true, &[(TOPIC, &[1, 2])]),
        ],
    );
    ask("no topics", &[of(two, Claim::Right, false, &[]), of(one, Claim::Right, true, &[])]);
    ask("no topics, verified", &[of(four, Claim::Right, true, &[])]);
}

fn groups(script: &mut Script, version: i16) {
    for (number, group) in ["", "bad name!", "\u{fc}ber", "transactions-adds"].iter().enumerate() {
        let mut producer = Producer::begun(script, format!("adds-group-v{version}-{number}"));
        producer.add_offsets(&format!("the group '{group}'"), version, Claim::Right, group);
        producer.add_offsets(&format!("the group '{group}' again"), version, Claim::Right, group);
        producer.add_offsets("another group", version, Claim::Right, "transactions-adds-2");
        producer.describe(&format!("the group '{group}'"));
        producer.end("groups", 4, Claim::Right, true);
    }
}
