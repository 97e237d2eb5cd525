//! Record batches for tests of logs: a real header and checksum around bytes that say nothing.
//! Included by the simulation's test binary, too.

/// What a batch is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestBatch {
    /// First offset.
    pub(crate) base_offset: i64,
    /// Offsets it takes, 1 or more.
    pub(crate) count: i32,
    /// Leader epoch.
    pub(crate) epoch: i32,
    /// Its base and max timestamp.
    pub(crate) timestamp_ms: i64,
    /// True for a control batch.
    pub(crate) control: bool,
    /// Producer id; -1 for none.
    pub(crate) producer_id: i64,
    /// Bytes after the header.
    pub(crate) payload: Vec<u8>,
}

impl TestBatch {
    /// A batch of epoch 0, its payload filled with a byte that tells the offset.
    pub(crate) fn new(base_offset: i64, count: i32, payload_bytes: usize) -> Self {
        Self {
            base_offset,
            count,
            epoch: 0,
            timestamp_ms: 1_000 + base_offset,
            control: false,
            producer_id: -1,
            payload: vec![base_offset as u8 ^ 0x5a; payload_bytes],
        }
    }

    /// The offset after its last one.
    pub(crate) fn end_offset(&self) -> i64 {
        self.base_offset + i64::from(self.count)
    }

    /// The 61 bytes of the header.
    pub(crate) fn header(&self) -> [u8; 61] {
        let attributes: i16 = if self.control { 1 << 5 | 1 << 4 } else { 0 };
        let mut header = [0; 61];
        let mut put = |position: usize, bytes: &[u8]| {
            header[position..position + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &self.base_offset.to_be_bytes());
        put(8, &(49 + self.payload.len() as i32).to_be_bytes());
        put(12, &self.epoch.to_be_bytes());
        put(16, &[2]);
        put(21, &attributes.to_be_bytes());
        put(23, &(self.count - 1).to_be_bytes());
        put(27, &self.timestamp_ms.to_be_bytes());
        put(35, &self.timestamp_ms.to_be_bytes());
        put(43, &self.producer_id.to_be_bytes());
        put(51, &(-1i16).to_be_bytes());
        put(53, &(-1i32).to_be_bytes());
        put(57, &self.count.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[21..]), &self.payload);
        header[17..21].copy_from_slice(&crc.to_be_bytes());
        header
    }

    /// What it aborts.
    pub(crate) fn aborts(&self) -> Option<[i64; 4]> {
        aborted_by(self.control, self.producer_id, self.base_offset)
    }

    /// The whole batch as a log holds it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.header()[..], &self.payload].concat()
    }
}

/// What a control batch of a producer aborts, made up from its base offset: a transaction from the
/// multiple of ten before it. As producer id, first and last offset, and last stable offset.
pub(crate) fn aborted_by(control: bool, producer_id: i64, base_offset: i64) -> Option<[i64; 4]> {
    let tens = |offset: i64| offset - offset % 10;
    let (first_offset, last_stable_offset) = (tens(base_offset), tens(base_offset + 1));
    let aborts = control && producer_id >= 0;
    aborts.then_some([producer_id, first_offset, base_offset, last_stable_offset])
}

/// Cuts read bytes into whole batches as `(base offset, end offset, bytes)`, leaving out a cut
/// last one.
pub(crate) fn split_batches(mut bytes: &[u8]) -> Vec<(i64, i64, Vec<u8>)> {
    let mut batches = Vec::new();
    while bytes.len() >= 61 {
        let length = 12 + i32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
        if length > bytes.len() {
            break;
        }
        let base_offset = i64::from_be_bytes(bytes[..8].try_into().unwrap());
        let last_delta = i32::from_be_bytes(bytes[23..27].try_into().unwrap());
        let (batch, rest) = bytes.split_at(length);
        batches.push((base_offset, base_offset + i64::from(last_delta) + 1, batch.to_vec()));
        bytes = rest;
    }
    batches
}
