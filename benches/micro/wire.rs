//! From bytes to a request.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla::wire::messages::produce::ProduceRequest;
use ottla::wire::{Decoder, Message, RequestHeader};

use crate::{PRODUCE_VERSION, RECORDS, produce_frame};

#[divan::bench(args = RECORDS)]
fn decode_produce(bencher: Bencher, records: usize) {
    let frame = produce_frame(records);
    bencher.counter(BytesCount::new(frame.len())).bench(|| {
        let mut decoder = Decoder::new(black_box(&frame).clone());
        let header = RequestHeader::read(&mut decoder, true).unwrap();
        (header, ProduceRequest::decode(&mut decoder, PRODUCE_VERSION).unwrap())
    });
}
