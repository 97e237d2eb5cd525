//! Keys and values of coordinators' records: each begins with a number of 16 bits, a key with that of
//! its kind, a value with its version.

use bytes::Bytes;

use crate::wire::{DecodeError, Decoder, Encoder, Field, Message};

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Its key is missing or damaged.
    #[error("the key of a record cannot be read: {0}")]
    Key(DecodeError),
    /// A record without a key.
    #[error("a record has no key")]
    NoKey,
    /// Its value is damaged or of a version of a newer Kafka.
    #[error("the value of a record of kind {0} cannot be read: {1}")]
    Value(i16, DecodeError),
    /// A state of transactions that Kafka 4.3.0 does not have in records.
    #[error("a transaction is in the state {0}, which is unknown")]
    State(i8),
}

/// Reads a value after its version.
pub(super) fn value<M: Message>(kind: i16, bytes: Option<Bytes>) -> Result<Option<M>, ReplayError> {
    let read = |bytes: Bytes| {
        let mut decoder = Decoder::new(bytes);
        let version = i16::read(&mut decoder, M::format(0))?;
        M::decode(&mut decoder, version)
    };
    bytes.map(read).transpose().map_err(|error| ReplayError::Value(kind, error))
}

/// The number and the message.
pub(super) fn prefixed<M: Message>(number: i16, message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    number.write(&mut encoder, M::format(version));
    message.encode(&mut encoder, version);
    encoder.finish().into_bytes().expect("only file ranges can fail, and there are none")
}
