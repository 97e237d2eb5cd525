//! Bytes as Java's UTF-8 decoder makes them text, and what Kafka's generated classes say of bytes that
//! are not their message.

use crate::wire::json::camel_case;
use crate::wire::{DecodeError, DecodeErrorKind};

/// Why bytes are not the message, in Kafka's words. For a number beyond the end Java has none; bytes
/// of a number's length are taken for one.
pub(super) fn kafka_reason(error: &DecodeError) -> String {
    let field = camel_case(error.field.rsplit('.').next().unwrap_or_default());
    match error.kind {
        DecodeErrorKind::Truncated { needed: 1 | 2 | 4 | 8 | 16, .. } => "null".to_owned(),
        DecodeErrorKind::Truncated { needed, remaining } => format!(
            "Error reading byte array of {needed} byte(s): only {remaining} byte(s) available"
        ),
        DecodeErrorKind::Null => format!("non-nullable field {field} was serialized as null"),
        DecodeErrorKind::ArrayTooLong { size, remaining } => format!(
            "Tried to allocate a collection of size {size}, but there are only {remaining} bytes \
             remaining."
        ),
        _ => error.to_string(),
    }
}

/// The text, with a replacement character for what is not UTF-8. Rust's has one for each byte of a
/// surrogate in three bytes, Java's one for all of them.
pub(super) fn java_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut of_surrogate = 0;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            of_surrogate = 0;
            text.push_str(chunk.valid());
        }
        match chunk.invalid() {
            [] => {}
            [0x80..0xc0] if of_surrogate > 0 => of_surrogate -= 1,
            invalid => {
                // A beginning that would have been good with another second byte.
                of_surrogate = if invalid == [0xed] { 2 } else { 0 };
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::java_text;

    #[test]
    fn text_is_java_s() {
        // What Java 17 makes of them.
        let cases: [(&[u8], &str); 9] = [
            (b"a\xc3\xa9\0", "a\u{e9}\0"),
            (b"\xed\xa0\x80", "?"),
            (b"\xed\xa0A", "?A"),
            (b"\xed\xa0\x80\x80", "??"),
            (b"\xedA", "?A"),
            (b"\xe0\x80\x80", "???"),
            (b"\xf0\x90\x80", "?"),
            (b"\xf4\x90\x80\x80", "????"),
            (b"\xff\xfeA\xc3", "??A?"),
        ];
        for (bytes, text) in cases {
            assert_eq!(java_text(bytes), text.replace('?', "\u{fffd}"), "{bytes:x?}");
        }
    }
}
