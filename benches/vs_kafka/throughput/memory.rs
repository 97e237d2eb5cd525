//! What a broker has in memory when much went through it.

use super::{BATCH_BYTES, CONNECTIONS, LARGE_BATCH_BYTES, run};
use crate::contender::Contender;
use crate::table::{Aim, Column, Figure, Section, Than};
use crate::{Setup, mebibytes};

const PARTITIONS: i32 = 16;
const AIM_MIB: f64 = 50.0;

/// One contender after the other, each with a fresh process, so that the disk holds what one of them has written.
pub(super) fn after(setup: &Setup) -> Section {
    let chunks = setup.amount(10, 2);
    let chunk_bytes: u64 = setup.amount(1_000_000_000, 50_000_000);
    let gb = (chunks * chunk_bytes) as f64 / 1e9;
    let mut before = Figure::new("VmRSS before (MiB)", &[]);
    let aims = [Aim::AtMost(Than::Number(AIM_MIB))];
    let mut now = Figure::new(format!("VmRSS after {gb} GB produced and consumed (MiB)"), &aims);
    let mut most = Figure::new("the highest VmRSS meanwhile (MiB)", &[]);
    for column in setup.columns(&[Column::Ottla, Column::Kafka, Column::Other]) {
        let contender = Contender::start(column, setup.given());
        contender.remove_deleted_files_soon();
        let set = |figure: &mut Figure, bytes: Option<u64>| {
            if let Some(bytes) = bytes {
                figure.set(column, mebibytes(bytes));
            }
        };
        set(&mut before, contender.resident_bytes());
        for chunk in 0..chunks {
            pass(&contender, chunk, chunk_bytes);
        }
        set(&mut now, contender.resident_bytes());
        set(&mut most, contender.peak_resident_bytes());
        contender.end();
    }
    let method = format!(
        "A fresh broker takes and gives {chunks} topics of {} MB and {PARTITIONS} partitions, one after the other, which are \
         deleted when they are read; every other one has batches of 1,000,000 bytes, the others of 64 KiB. {CONNECTIONS} \
         connections. Memory is read right after the last one. Kafka has the heap of 1 GiB that its scripts give it.",
        chunk_bytes / 1_000_000
    );
    Section { title: "Memory", method, figures: vec![before, now, most] }
}

fn pass(contender: &Contender, chunk: u64, bytes: u64) {
    let batch_bytes = if chunk.is_multiple_of(2) { BATCH_BYTES } else { LARGE_BATCH_BYTES };
    let topic = format!("passed-{chunk}");
    contender.create_topic(&topic, PARTITIONS, &[]);
    let options = format!("--topic {topic} --connections {CONNECTIONS}");
    run(contender, &format!("produce {options} --batch-bytes {batch_bytes} --total-bytes {bytes}"));
    run(contender, &format!("consume {options}"));
    contender.delete_topic_and_files(&topic);
}
