//! A batch stored with another codec than it came with (topic key `compression.type`).
//!
//! The records' bytes stay as they are, where Kafka writes them anew (`LogValidator.buildRecordsAndAssignOffsets`): their
//! deltas count from the header's base timestamp, which is kept.

use super::batch::{COMPRESSION_MASK, LOG_OVERHEAD, seal};
use super::{
    BATCH_HEADER_BYTES, BatchHeader, Compression, INFLATED_BYTES_MAX, Inflater, RecordError,
    compress::compress_from,
};

/// The codec that a topic keeps its batches in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCodec {
    /// The codec.
    pub compression: Compression,
    /// Its level, of those codecs that have one; otherwise Kafka's default.
    pub level: Option<i32>,
}

impl StoredCodec {
    /// Whether a batch has to be rewritten. One that has the codec stays, whatever its level.
    pub fn differs(self, header: &BatchHeader) -> bool {
        header.compression() != Some(self.compression)
    }

    /// Rewrites `batch`, which is valid and starts with `header`. Fails for a batch that inflates to more than
    /// [`INFLATED_BYTES_MAX`].
    pub fn rewrite(self, header: &BatchHeader, batch: &[u8]) -> Result<Vec<u8>, RecordError> {
        let came_with = header.compression().unwrap_or_default();
        let records = &batch[BATCH_HEADER_BYTES..];
        let plain = Inflater::new(came_with, records, INFLATED_BYTES_MAX)?;
        let records = compress_from(self.compression, self.level, plain)?;
        let size_bytes = BATCH_HEADER_BYTES + records.len();
        let mut rewritten = Vec::with_capacity(size_bytes);
        let header = BatchHeader {
            batch_length: i32::try_from(size_bytes - LOG_OVERHEAD)
                .map_err(|_| RecordError::InflatedTooLarge)?,
            attributes: header.attributes & !COMPRESSION_MASK | i16::from(self.compression.id()),
            ..*header
        };
        header.write(&mut rewritten);
        rewritten.extend_from_slice(&records);
        seal(&mut rewritten);
        Ok(rewritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, Records};

    fn batch(compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new(0, -1).compressed(compression, None);
        builder = builder.producer(7, 1, 5).transactional();
        for number in 0..200u8 {
            builder.push(1_000 + i64::from(number), Some(b"key"), Some(&[number; 300]));
        }
        builder.build()
    }

    fn contents(batch: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let header = BatchHeader::parse(batch).unwrap();
        assert!(header.verify_crc(batch) && header.size_bytes() == batch.len());
        let mut records = Records::new(&header, batch).unwrap();
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            all.push((record.timestamp_ms, record.value.unwrap().to_vec()));
        }
        all
    }

    #[test]
    fn every_codec_becomes_every_other_and_keeps_its_records() {
        for from in Compression::ALL {
            let came = batch(from);
            let header = BatchHeader::parse(&came).unwrap();
            for compression in Compression::ALL {
                let codec = StoredCodec { compression, level: None };
                assert_eq!(codec.differs(&header), from != compression);
                let stored = codec.rewrite(&header, &came).unwrap();
                assert_eq!(contents(&stored), contents(&came), "{from:?} {compression:?}");
                let rewritten = BatchHeader::parse(&stored).unwrap();
                assert_eq!(rewritten.compression(), Some(compression));
                let came_with = BatchHeader {
                    batch_length: header.batch_length,
                    crc: header.crc,
                    attributes: header.attributes,
                    ..rewritten
                };
                assert_eq!(came_with, header);
                assert!(rewritten.is_transactional());
            }
        }
    }

    #[test]
    fn the_level_counts() {
        let plain = batch(Compression::None);
        let header = BatchHeader::parse(&plain).unwrap();
        let size = |level| {
            let codec = StoredCodec { compression: Compression::Gzip, level: Some(level) };
            codec.rewrite(&header, &plain).unwrap().len()
        };
        assert!(size(9) < size(1));
    }
}
