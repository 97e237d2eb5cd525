//! Kafka's primitive types on the wire.
//!
//! A [`Decoder`] reads values from a frame without copying its byte fields, an [`Encoder`] writes
//! values into a buffer and carries large byte ranges and file ranges along uncopied, and
//! [`Field`] says how each type is read and written under a [`Format`]. The rules are those of
//! Kafka's `ByteBufferAccessor` and of its generated message classes, leniency included: what
//! they accept is accepted here and what they refuse is refused.

mod decoder;
mod encoder;
mod field;
#[cfg(test)]
mod tests;

pub use decoder::{DecodeError, DecodeErrorKind, Decoder};
pub use encoder::{Chunk, Encoder, Segments};
pub use field::{Field, Format, Nullable, Structure, TaggedFields};
