//! Messages as JSON, in the form of Kafka's generated `JsonConverter`s printed by Jackson: the fields
//! of the version in the order of the schema, tagged ones where they differ from their defaults.

use std::fmt::{self, Display, Formatter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Tagged fields from here on are not of Kafka's schema, and not printed.
pub const OWN_TAGS_FROM: u32 = 10_000;

/// A value; [`Display`] prints it without spaces.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the kinds of JSON, with numbers and bytes as Kafka has them")]
pub enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    /// Base64 in quotes.
    Bytes(Bytes),
    Array(Vec<Json>),
    /// Fields in order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object of these fields.
    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// A field of an object.
    pub fn field(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// The name that a field has in Kafka's schema: `last_known_elr` is `lastKnownElr`.
pub(crate) fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

impl Display for Json {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Double(value) => write_double(*value, out),
            Self::Text(text) => write_text(text, out),
            Self::Bytes(bytes) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
            Self::Array(values) => {
                write_separated(values, out, ['[', ']'], |value, out| write!(out, "{value}"))
            }
            Self::Object(fields) => {
                write_separated(fields, out, ['{', '}'], |(name, value), out| {
                    write!(out, "\"{name}\":{value}")
                })
            }
        }
    }
}

fn write_separated<T>(
    values: &[T],
    out: &mut Formatter<'_>,
    [begin, end]: [char; 2],
    write: impl Fn(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    out.write_char(begin)?;
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            out.write_char(',')?;
        }
        write(value, out)?;
    }
    out.write_char(end)
}

fn write_text(text: &str, out: &mut Formatter<'_>) -> fmt::Result {
    out.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(out, "\\{char}")?,
            '\u{8}' => out.write_str("\\b")?,
            '\t' => out.write_str("\\t")?,
            '\n' => out.write_str("\\n")?,
            '\u{c}' => out.write_str("\\f")?,
            '\r' => out.write_str("\\r")?,
            '\0'..' ' => write!(out, "\\u{:04X}", u32::from(char))?,
            _ => out.write_char(char)?,
        }
    }
    out.write_char('"')
}

/// As Java's `Double.toString`, in quotes what is no number.
fn write_double(value: f64, out: &mut Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        return out.write_str("\"NaN\"");
    }
    if value.is_infinite() {
        return write!(out, "\"{}Infinity\"", if value < 0.0 { "-" } else { "" });
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return write!(out, "{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => write!(out, "{digits}.0E{exponent}"),
        _ => out.write_str(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_schema_s() {
        let names = ["id", "k_raft_version", "last_known_elr", "a__b_"].map(camel_case);
        assert_eq!(names, ["id", "kRaftVersion", "lastKnownElr", "aB"]);
    }

    #[test]
    fn values_are_printed_as_jackson_does() {
        let text = Json::Text("a\"b\\c/\u{1f}\n\u{7f}\u{e9}".to_owned());
        assert_eq!(text.to_string(), "\"a\\\"b\\\\c/\\u001F\\n\u{7f}\u{e9}\"");
        let doubles = [0.0, -0.0, 1.0, 0.001, 1e-4, 12_345_678.9, 1e7, -1.5e300, 9_999_999.0];
        let doubles = Json::Array(doubles.map(Json::Double).into());
        let printed = "[0.0,-0.0,1.0,0.001,1.0E-4,1.23456789E7,1.0E7,-1.5E300,9999999.0]";
        assert_eq!(doubles.to_string(), printed);
        let no_numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Json::Double);
        let printed = "[\"NaN\",\"Infinity\",\"-Infinity\"]";
        assert_eq!(Json::Array(no_numbers.into()).to_string(), printed);
        let bytes = Json::Bytes(Bytes::from_static(b"\xff\xfe"));
        let object = Json::object([("a", Json::Null), ("b", bytes), ("c", Json::Integer(-1))]);
        assert_eq!(object.to_string(), "{\"a\":null,\"b\":\"//4=\",\"c\":-1}");
    }
}
