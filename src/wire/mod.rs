//! The binary protocol: codec, messages, error codes and limits.

mod error_code;

pub use error_code::ErrorCode;
