//! How a record is printed (Kafka: `DefaultMessageFormatter`).

use crate::client::Taken;
use crate::config::ConfigMap;
use crate::records::TimestampType;
use crate::tools::Failure;

/// Formatters by the last part of their class' name, and whether they print anything. The logging one prints as the
/// default one does: what it logs is below the level of Kafka's tools.
const FORMATTERS: [(&str, bool); 3] = [
    ("DefaultMessageFormatter", true),
    ("LoggingMessageFormatter", true),
    ("NoOpMessageFormatter", false),
];
/// What may be printed before the value, in this order; the value is the last.
const PARTS: [&str; 8] = [
    "print.timestamp",
    "print.partition",
    "print.offset",
    "print.delivery",
    "print.epoch",
    "print.headers",
    "print.key",
    "print.value",
];
const VALUE: usize = PARTS.len() - 1;

/// How bytes become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    Bytes,
    String,
    Boolean,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Uuid,
}

/// Deserializers by the last part of their class' name, with the number of bytes that they take.
const DESERIALIZERS: [(&str, Deserializer, Option<usize>); 10] = [
    ("ByteArrayDeserializer", Deserializer::Bytes, None),
    ("BytesDeserializer", Deserializer::Bytes, None),
    ("StringDeserializer", Deserializer::String, None),
    ("BooleanDeserializer", Deserializer::Boolean, Some(1)),
    ("ShortDeserializer", Deserializer::Short, Some(2)),
    ("IntegerDeserializer", Deserializer::Integer, Some(4)),
    ("LongDeserializer", Deserializer::Long, Some(8)),
    ("FloatDeserializer", Deserializer::Float, Some(4)),
    ("DoubleDeserializer", Deserializer::Double, Some(8)),
    ("UUIDDeserializer", Deserializer::Uuid, None),
];

/// The last part of a class' name.
fn simple(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

impl Deserializer {
    fn named(class: &str) -> Result<Self, Failure> {
        let known = DESERIALIZERS.iter().find(|(name, ..)| *name == simple(class));
        let unknown = || Failure::err(format!("{class} is not supported by this tool"));
        known.map(|(_, deserializer, _)| *deserializer).ok_or_else(unknown)
    }

    /// The text of `bytes` behind `out`, or Kafka's words for what is wrong with them.
    fn write(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let known = DESERIALIZERS.iter().find(|(_, deserializer, _)| *deserializer == self);
        if let Some((name, _, Some(size))) = known
            && bytes.len() != *size
        {
            return Err(format!("Size of data received by {name} is not {size}"));
        }
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let text = match self {
            Self::Bytes => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Self::String => String::from_utf8_lossy(bytes).into_owned(),
            Self::Boolean if number > 1 => {
                return Err(format!(
                    "Unexpected byte received by BooleanDeserializer: {}",
                    number as i8
                ));
            }
            Self::Boolean => (number == 1).to_string(),
            Self::Short => (number as i16).to_string(),
            Self::Integer => (number as i32).to_string(),
            Self::Long => (number as i64).to_string(),
            Self::Float => format!("{:?}", f32::from_bits(number as u32)),
            Self::Double => format!("{:?}", f64::from_bits(number)),
            Self::Uuid => {
                let text = String::from_utf8_lossy(bytes);
                let wrong =
                    |_| format!("Error parsing data into UUID: Invalid UUID string: {text}");
                uuid::Uuid::try_parse(&text).map_err(wrong)?.to_string()
            }
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Prints records.
#[derive(Debug)]
pub(super) struct Formatter {
    prints: bool,
    parts: [bool; PARTS.len()],
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key: Deserializer,
    value: Deserializer,
    headers: Deserializer,
}

impl Formatter {
    /// The formatter of this class with the properties of `--formatter-property`.
    pub(super) fn new(class: &str, properties: &ConfigMap) -> Result<Self, Failure> {
        let known = FORMATTERS.iter().find(|(name, _)| *name == simple(class));
        let unknown = || Failure::err(format!("--formatter {class} is not supported by this tool"));
        let (_, prints) = known.ok_or_else(unknown)?;
        let text = |key: &str, default: &str| {
            properties.get(key).map_or_else(|| default.to_owned(), Clone::clone)
        };
        let deserializer = |key: &str| {
            let class = properties.get(key);
            class.map_or(Ok(Deserializer::Bytes), |class| Deserializer::named(class.trim()))
        };
        let is_set = |part: &str| {
            let set = properties.get(part).map(|text| text.trim().eq_ignore_ascii_case("true"));
            set.unwrap_or(part == PARTS[VALUE])
        };
        Ok(Self {
            prints: *prints,
            parts: PARTS.map(is_set),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key: deserializer("key.deserializer")?,
            value: deserializer("value.deserializer")?,
            headers: deserializer("headers.deserializer")?,
        })
    }

    /// Prints a record behind `out`; what is wrong with it, in Kafka's words, after what could be printed.
    pub(super) fn write(&self, taken: &Taken<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let shown = (0..PARTS.len()).filter(|part| self.prints && self.parts[*part]);
        let last = shown.clone().last();
        for part in shown {
            self.part(part, taken, out)?;
            let is_last = Some(part) == last;
            let separator = if is_last { &self.line_separator } else { &self.key_separator };
            out.extend_from_slice(separator.as_bytes());
        }
        Ok(())
    }

    fn part(&self, part: usize, taken: &Taken<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let record = taken.record;
        let text = match part {
            0 => {
                let name = match taken.timestamp_type {
                    TimestampType::CreateTime => "CreateTime",
                    TimestampType::LogAppendTime => "LogAppendTime",
                };
                format!("{name}:{}", record.timestamp_ms)
            }
            1 => format!("Partition:{}", taken.partition.1),
            2 => format!("Offset:{}", taken.offset),
            // The tool drops both before it prints.
            3 => "Delivery:NOT_PRESENT".into(),
            4 => "Epoch:NOT_PRESENT".into(),
            5 if record.headers.is_empty() => "NO_HEADERS".into(),
            5 => {
                for (number, (key, value)) in record.headers.clone().enumerate() {
                    if number > 0 {
                        out.extend_from_slice(self.headers_separator.as_bytes());
                    }
                    out.extend_from_slice(String::from_utf8_lossy(key).as_bytes());
                    out.push(b':');
                    self.field(self.headers, value, out)?;
                }
                return Ok(());
            }
            6 => return self.field(self.key, record.key, out),
            _ => return self.field(self.value, record.value, out),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// As in Kafka what stands for null is deserialized, too.
    fn field(
        &self,
        deserializer: Deserializer,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        deserializer.write(bytes.unwrap_or(self.null_literal.as_bytes()), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, BatchHeader, Records};

    fn printed(properties: &[(&str, &str)], key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let properties = properties.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let formatter = Formatter::new("x.DefaultMessageFormatter", &properties.collect()).unwrap();
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"1")), (b"b", None)];
        let batch = BatchBuilder::new(0, 1).push_with_headers(5, key, value, &headers).build();
        let header = BatchHeader::parse(&batch).unwrap();
        let mut records = Records::new(&header, &batch).unwrap();
        let record = records.next().unwrap().unwrap();
        let partition = ("t".to_owned(), 3);
        let timestamp_type = TimestampType::CreateTime;
        let taken = Taken { partition: &partition, offset: 7, timestamp_type, record: &record };
        let mut out = Vec::new();
        match formatter.write(&taken, &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error,
        }
    }

    #[test]
    fn parts_are_in_kafkas_order() {
        assert_eq!(printed(&[], None, Some(b"v")), "v\n");
        let all = PARTS.map(|part| (part, "true"));
        let expected = "CreateTime:5\tPartition:3\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\t\
                        a:1,b:null\tnull\tv\n";
        assert_eq!(printed(&all, None, Some(b"v")), expected);
        let some = [
            ("print.key", " True"),
            ("print.value", "false"),
            ("print.headers", "true"),
            ("headers.separator", ";"),
            ("key.separator", " | "),
            ("line.separator", "$"),
            ("null.literal", "-"),
        ];
        assert_eq!(printed(&some, Some(b"k"), None), "a:1;b:- | k$");
        assert_eq!(printed(&[("print.value", "no")], None, Some(b"v")), "");
    }

    #[test]
    fn numbers_are_deserialized() {
        let class = |class| [("value.deserializer", class)];
        let integer = class("org.apache.kafka.common.serialization.IntegerDeserializer");
        assert_eq!(printed(&integer, None, Some(b"\xff\xff\xff\xfe")), "-2\n");
        let short = "Size of data received by IntegerDeserializer is not 4";
        assert_eq!(printed(&integer, None, Some(b"\0")), short);
        assert_eq!(
            printed(&class("LongDeserializer"), None, Some(&[0, 0, 0, 0, 0, 0, 1, 0])),
            "256\n"
        );
        assert_eq!(
            printed(&class("DoubleDeserializer"), None, Some(&1.5_f64.to_be_bytes())),
            "1.5\n"
        );
        assert_eq!(printed(&class("StringDeserializer"), None, Some(b"\xff")), "\u{fffd}\n");
    }
}
