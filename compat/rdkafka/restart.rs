//! Records are written and read while the broker restarts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer};

use crate::broker::{Broker, Records, delivered, new_name, send, until};
use crate::member::{Ledger, Member};

const PARTITIONS: usize = 3;
/// Records before the broker may be restarted, and after the producer has lost its connection.
const RECORDS: usize = 300;
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn restart(broker: &Broker) {
    let topic = broker.create_topic(PARTITIONS as i32, &[]);
    let producer = broker.producer(&[("enable.idempotence", "true"), ("linger.ms", "1")]);
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let reader = Member::join(broker, (&topic, &new_name()), "reader", &ledger, &[]);
    let places = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&producer, &topic));
        while !writer.is_finished() {
            reader.work();
        }
        writer.join().unwrap()
    });
    let read = || -> BTreeSet<(i32, i64, String)> {
        ledger.lock().unwrap().read.iter().cloned().collect()
    };
    until("what was acknowledged", || {
        reader.work();
        (read().len() >= places.len()).then_some(())
    });
    // In the order of sending, whatever the producer had to repeat.
    let sent = |number: usize| {
        let (partition, offset) = (number % PARTITIONS, number / PARTITIONS);
        (partition as i32, offset as i64, number.to_string())
    };
    assert_eq!(read(), (0..places.len()).map(sent).collect());
    for (number, place) in places.into_iter().enumerate() {
        let (partition, offset, _) = sent(number);
        assert_eq!(place, (partition, offset), "record {number}");
    }
}

/// Where each record was acknowledged.
fn write(producer: &Records, topic: &str) -> Vec<(i32, i64)> {
    let mut sent = 0;
    let mut write_one = || {
        let value = sent.to_string();
        let record = BaseRecord::with_opaque_to(topic, sent).payload(value.as_bytes());
        send(producer, record.partition((sent % PARTITIONS) as i32));
        sent += 1;
        thread::sleep(PAUSE);
        sent
    };
    let deliveries = producer.context();
    until("acknowledgements", || (write_one() > 0 && deliveries.count() >= RECORDS).then_some(()));
    println!("restart");
    until("a lost connection", || {
        (write_one() > 0 && deliveries.has_lost_connection()).then_some(())
    });
    let enough = write_one() + RECORDS;
    until("acknowledgements", || (write_one() > 0 && deliveries.count() >= enough).then_some(()));
    let sent = write_one();
    delivered(producer, sent)
}
