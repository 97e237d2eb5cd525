//! How each type of the protocol is read and written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use uuid::Uuid;

use super::{Chunk, DecodeError, DecodeErrorKind, Decoder, Encoder};
use crate::wire::json::Json;

/// The form a value has on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Version of the message.
    pub version: i16,
    /// True for compact lengths and sections of tagged fields (KIP-482).
    pub flexible: bool,
    /// True if the field may be null in this version.
    pub nullable: bool,
    /// True for a tagged field, where a structure says otherwise than elsewhere that it is null.
    pub tagged: bool,
}

impl Format {
    /// The same form for a field that may be null or not.
    #[must_use]
    pub fn nullable(self, nullable: bool) -> Self {
        Self { nullable, tagged: false, ..self }
    }

    /// The same form for a tagged field.
    #[must_use]
    pub fn tagged(self) -> Self {
        Self { nullable: true, tagged: true, ..self }
    }
}

/// A type that stands on the wire.
pub trait Field: Sized {
    /// Reads a value.
    fn read(decoder: &mut Decoder, format: Format) -> Result<Self, DecodeError>;
    /// Writes the value.
    fn write(&self, encoder: &mut Encoder, format: Format);
    /// The value as Kafka's tools print it.
    fn json(&self, format: Format) -> Json;
}

/// A type that has a null beside its values.
pub trait Nullable: Field + Default {
    /// Reads a value, or None for null.
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError>;
    /// Writes the value, or null for None.
    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format);

    /// Reads a value, refusing null.
    fn read_value(decoder: &mut Decoder, format: Format) -> Result<Self, DecodeError> {
        Self::read_nullable(decoder, format)?.ok_or(DecodeErrorKind::Null.into())
    }
}

/// None in a version without null is written as the type's empty value, so that it stays readable.
impl<T: Nullable> Field for Option<T> {
    fn read(decoder: &mut Decoder, format: Format) -> Result<Self, DecodeError> {
        if format.nullable {
            T::read_nullable(decoder, format)
        } else {
            T::read(decoder, format).map(Some)
        }
    }

    fn write(&self, encoder: &mut Encoder, format: Format) {
        match self {
            None if !format.nullable => T::default().write(encoder, format),
            // A structure shows that it is there only where it could be missing.
            Some(value) if !format.nullable => value.write(encoder, format),
            value => T::write_nullable(value.as_ref(), encoder, format),
        }
    }

    fn json(&self, format: Format) -> Json {
        self.as_ref().map_or(Json::Null, |value| value.json(format))
    }
}

macro_rules! numbers {
    ($($kind:ident: $($type:ty)*;)*) => {$($(
        impl Field for $type {
            fn read(decoder: &mut Decoder, _: Format) -> Result<Self, DecodeError> {
                decoder.array().map(Self::from_be_bytes)
            }

            fn write(&self, encoder: &mut Encoder, _: Format) {
                encoder.raw(&self.to_be_bytes());
            }

            fn json(&self, _: Format) -> Json {
                Json::$kind((*self).into())
            }
        }
    )*)*};
}

numbers! {
    Integer: i8 i16 u16 i32 u32 i64;
    Double: f64;
}

/// Every byte but 0 is true.
impl Field for bool {
    fn read(decoder: &mut Decoder, _: Format) -> Result<Self, DecodeError> {
        decoder.array().map(|[byte]| byte != 0)
    }

    fn write(&self, encoder: &mut Encoder, _: Format) {
        encoder.raw(&[u8::from(*self)]);
    }

    fn json(&self, _: Format) -> Json {
        Json::Bool(*self)
    }
}

impl Field for Uuid {
    fn read(decoder: &mut Decoder, _: Format) -> Result<Self, DecodeError> {
        decoder.array().map(Self::from_bytes)
    }

    fn write(&self, encoder: &mut Encoder, _: Format) {
        encoder.raw(self.as_bytes());
    }

    fn json(&self, _: Format) -> Json {
        Json::Text(URL_SAFE_NO_PAD.encode(self.as_bytes()))
    }
}

macro_rules! never_null_by_itself {
    ($(($($generics:tt)*) $type:ty, |$value:ident, $format:ident| $json:expr;)*) => {$(
        impl<$($generics)*> Field for $type {
            fn read(decoder: &mut Decoder, format: Format) -> Result<Self, DecodeError> {
                Self::read_value(decoder, format)
            }

            fn write(&self, encoder: &mut Encoder, format: Format) {
                Self::write_nullable(Some(self), encoder, format);
            }

            fn json(&self, $format: Format) -> Json {
                let $value = self;
                $json
            }
        }
    )*};
}

never_null_by_itself! {
    () String, |text, _format| Json::Text(text.clone());
    () Bytes, |bytes, _format| Json::Bytes(bytes.clone());
    () Chunk, |chunk, _format| match chunk {
        Chunk::Bytes(bytes) => Json::Bytes(bytes.clone()),
        Chunk::File { .. } => Json::Null,
    };
    (T: Field) Vec<T>, |values, format| {
        Json::Array(values.iter().map(|value| value.json(format)).collect())
    };
}

impl Nullable for String {
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError> {
        decoder.string(format.flexible)
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format) {
        encoder.string(value.map(String::as_str), format.flexible);
    }
}

impl Nullable for Bytes {
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError> {
        let length = decoder.length(format.flexible)?;
        length.map(|length| decoder.bytes(length as usize)).transpose()
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format) {
        encoder.length(value.map(Bytes::len), format.flexible);
        if let Some(bytes) = value {
            encoder.chunk(Chunk::Bytes(bytes.clone()));
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Nullable for Chunk {
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::read_nullable(decoder, format)?.map(Self::Bytes))
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format) {
        encoder.length(value.map(Self::len), format.flexible);
        if let Some(chunk) = value {
            encoder.chunk(chunk.clone());
        }
    }
}

impl<T: Field> Nullable for Vec<T> {
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError> {
        let Some(size) = decoder.length(format.flexible)? else {
            return Ok(None);
        };
        let mut list = decoder.list(size)?;
        for _ in 0..size {
            list.push(T::read(decoder, format)?);
        }
        Ok(Some(list))
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format) {
        encoder.length(value.map(Vec::len), format.flexible);
        for element in value.into_iter().flatten() {
            element.write(encoder, format);
        }
    }
}

/// Fields in a fixed order, then in flexible versions the tagged ones that differ from their
/// defaults. Implemented by [`message!`](crate::wire::message).
pub trait Structure: Default {
    /// Name of the structure, for error messages.
    const NAME: &str;
    /// Reads the fields that the version has, tagged ones left out.
    fn read_fields(&mut self, decoder: &mut Decoder, format: Format) -> Result<(), DecodeError>;
    /// Reads the tagged field of this number, or says false if there is none.
    fn read_tagged(
        &mut self,
        tag: u32,
        decoder: &mut Decoder,
        format: Format,
    ) -> Result<bool, DecodeError>;
    /// Writes the fields that the version has, tagged ones left out.
    fn write_fields(&self, encoder: &mut Encoder, format: Format);
    /// Writes the tagged fields that the version has.
    fn write_tagged(&self, tagged: &mut TaggedFields, format: Format);
    /// Names and values of the fields that are printed, in the order of the schema.
    fn json_fields(&self, format: Format) -> Vec<(String, Json)>;
}

/// Collects the tagged fields of one structure, as their number comes first.
#[derive(Debug, Default)]
pub struct TaggedFields {
    fields: Vec<(u32, Encoder)>,
}

impl TaggedFields {
    /// Writes a field unless it has its default.
    pub fn write<T: Field + PartialEq>(
        &mut self,
        tag: u32,
        value: &T,
        default: &T,
        format: Format,
    ) {
        if value != default {
            let mut encoder = Encoder::new();
            value.write(&mut encoder, format.tagged());
            self.fields.push((tag, encoder));
        }
    }

    /// Puts their number and them, in the order of their tags, at the end of what is written.
    fn append_to(mut self, encoder: &mut Encoder) {
        self.fields.sort_unstable_by_key(|(tag, _)| *tag);
        encoder.unsigned_varint(self.fields.len() as u32);
        for (tag, field) in self.fields {
            encoder.unsigned_varint(tag);
            encoder.unsigned_varint(field.len() as u32);
            encoder.append(field);
        }
    }
}

impl<T: Structure> Field for T {
    fn read(decoder: &mut Decoder, format: Format) -> Result<Self, DecodeError> {
        let mut structure = Self::default();
        structure.read_fields(decoder, format)?;
        if format.flexible {
            decoder
                .tagged_fields(|tag, decoder| structure.read_tagged(tag, decoder, format))
                .map_err(|error| error.at(T::NAME))?;
        }
        Ok(structure)
    }

    fn write(&self, encoder: &mut Encoder, format: Format) {
        self.write_fields(encoder, format);
        if format.flexible {
            let mut tagged = TaggedFields::default();
            self.write_tagged(&mut tagged, format);
            tagged.append_to(encoder);
        }
    }

    fn json(&self, format: Format) -> Json {
        Json::Object(self.json_fields(format))
    }
}

/// A byte says whether the structure is there: 1, or -1 (any negative) for null. In a tagged field
/// it is an unsigned integer of variable length: 1, or 0 for null.
impl<T: Structure> Nullable for T {
    fn read_nullable(decoder: &mut Decoder, format: Format) -> Result<Option<Self>, DecodeError> {
        let missing = if format.tagged {
            (decoder.unsigned_varint()? as i32) <= 0
        } else {
            let [mark] = decoder.array()?;
            (mark as i8) < 0
        };
        if missing { Ok(None) } else { T::read(decoder, format).map(Some) }
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, format: Format) {
        let missing = if format.tagged { 0 } else { u8::MAX };
        encoder.raw(&[if value.is_some() { 1 } else { missing }]);
        if let Some(structure) = value {
            structure.write(encoder, format);
        }
    }
}
