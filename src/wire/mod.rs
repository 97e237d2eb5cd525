//! The binary protocol: codec, messages, error codes and limits.

pub mod codec;
mod error_code;
#[cfg(test)]
mod golden;
pub mod header;
pub mod json;
pub mod message;
pub mod messages;
pub mod records;

pub use codec::{
    Chunk, DecodeError, DecodeErrorKind, Decoder, Encoder, Field, Format, Segments, Structure,
    TaggedFields,
};
pub use error_code::ErrorCode;
pub use header::RequestHeader;
pub(crate) use message::message;
pub use message::{Keyed, Message, Request};
