//! Messages, declared.
//!
//! `message!` turns a block that reads like Kafka's schema into a struct
//! with Kafka's defaults and its reading and writing at every version:
//!
//! ```text
//! message! {
//!     /// Asks for a table.
//!     pub struct TableRequest: key 99, versions 0..=3, flexible 2, answer TableResponse {
//!         guests: i32,                             // in every version
//!         rooms: Vec<Room> [1..],                  // from version 1 on
//!         note: Option<String> [.., null 3..],     // in every version, may be null from version 3 on
//!         smoking: bool [..=1] = true,             // up to version 1, otherwise reads as true
//!         window: i8 [3.., tag 0] = -1,            // tagged: on the wire only if it is not -1
//!     }
//!     /// A structure takes the version of the message it stands in.
//!     pub struct Room {
//!         name: String,
//!     }
//! }
//! ```
//!
//! The parts in brackets are a range of versions, then `null` and the range in which an `Option`
//! may be null (without it: always), then `tag` and the number of a tagged field, in whose order
//! tagged fields are written. Messages that are printed ([`Message::to_json`]) have their fields in
//! the order of Kafka's schema. A field that a version lacks is not written and reads as its default: the one after `=`, else the type's.
//! Kafka's default of a nullable field is null only where its schema says so, so most have
//! `= Some(..)`. `key` is Kafka's number for the API or metadata record and may be missing; `answer`
//! names the response of a request.

use std::io;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder, Field, Format, Structure};
use super::json::Json;

/// A message with versions of its own.
pub trait Message: Structure {
    /// Versions that can be read and written.
    const VERSIONS: RangeInclusive<i16>;
    /// First version with compact lengths and tagged fields (KIP-482).
    const FLEXIBLE: i16;

    /// The form the message has in `version`.
    fn format(version: i16) -> Format {
        Format { version, flexible: version >= Self::FLEXIBLE, nullable: false, tagged: false }
    }

    /// Reads the message at `version` where the decoder stands.
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeErrorKind::UnsupportedVersion(version).into());
        }
        Self::read(decoder, Self::format(version))
    }

    /// Reads the message at `version` from the beginning of `bytes`; what follows is ignored.
    fn from_bytes(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        Self::decode(&mut Decoder::new(bytes), version)
    }

    /// Writes the message at `version`, which must be one of [`Message::VERSIONS`].
    fn encode(&self, encoder: &mut Encoder, version: i16) {
        debug_assert!(Self::VERSIONS.contains(&version), "version {version} cannot be written");
        self.write(encoder, Self::format(version));
    }

    /// The message at `version` in one piece; reads file ranges, and fails only there.
    fn to_bytes(&self, version: i16) -> io::Result<Bytes> {
        let mut encoder = Encoder::new();
        self.encode(&mut encoder, version);
        encoder.finish().into_bytes()
    }

    /// The message as Kafka's tools print it: the fields of `version`, which may be any number.
    fn to_json(&self, version: i16) -> Json {
        self.json(Self::format(version))
    }
}

/// A message that has a number.
pub trait Keyed {
    /// The API key, or the number of a kind of metadata record.
    const KEY: i16;
}

/// A request that knows its response.
pub trait Request: Message + Keyed {
    /// What answers it.
    type Response: Message + std::fmt::Debug + 'static;
}

/// Declares messages; see the [module](self) for the syntax.
macro_rules! message {
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@untagged) => { true };
    (@untagged $tag:literal) => { false };
    (@printed ; $value:expr, $default:expr) => { true };
    (@printed $tag:literal; $value:expr, $default:expr) => {
        $tag < $crate::wire::json::OWN_TAGS_FROM && $value != $default
    };
    (@within $version:expr) => { true };
    (@within $version:expr, $range:expr) => {
        std::ops::RangeBounds::<i16>::contains(&$range, &$version)
    };
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident $(
            : $(key $key:literal,)? versions $versions:expr, flexible $flexible:literal
                $(, answer $answer:ident)?
        )? {$(
            $(#[$field_attribute:meta])*
            $field:ident: $type:ty
                $([$range:expr $(, null $null:expr)? $(, tag $tag:literal)?])? $(= $default:expr)?
        ),* $(,)?}
    )*) => {$(
        $(#[$attribute])*
        #[doc = concat!("\n`", stringify!($name), "` in Kafka's schema.")]
        #[derive(Clone, Debug, PartialEq)]
        $visibility struct $name {$(
            $(#[$field_attribute])*
            #[doc = concat!("\nVersions: `", $(stringify!($range),)? "`.")]
            $visibility $field: $type,
        )*}

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::wire::message!(@default $($default)?),)* }
            }
        }

        impl $crate::wire::Structure for $name {
            const NAME: &str = stringify!($name);

            fn read_fields(
                &mut self,
                decoder: &mut $crate::wire::Decoder,
                format: $crate::wire::Format,
            ) -> Result<(), $crate::wire::DecodeError> {
                let _ = (&decoder, format);
                $(
                    if $crate::wire::message!(@untagged $($($tag)?)?)
                        && $crate::wire::message!(@within format.version $(, $range)?)
                    {
                        let nullable =
                            $crate::wire::message!(@within format.version $($(, $null)?)?);
                        self.$field = $crate::wire::Field::read(decoder, format.nullable(nullable))
                            .map_err(|error| {
                                error.at(concat!(stringify!($name), ".", stringify!($field)))
                            })?;
                    }
                )*
                Ok(())
            }

            fn read_tagged(
                &mut self,
                tag: u32,
                decoder: &mut $crate::wire::Decoder,
                format: $crate::wire::Format,
            ) -> Result<bool, $crate::wire::DecodeError> {
                let _ = (tag, &decoder, format);
                $($($(
                    if tag == $tag {
                        if !$crate::wire::message!(@within format.version, $range) {
                            let version = format.version;
                            return Err($crate::wire::DecodeErrorKind::TagNotValid { tag, version }
                                .into());
                        }
                        self.$field = $crate::wire::Field::read(decoder, format.tagged())?;
                        return Ok(true);
                    }
                )?)?)*
                Ok(false)
            }

            fn write_fields(
                &self,
                encoder: &mut $crate::wire::Encoder,
                format: $crate::wire::Format,
            ) {
                let _ = (&encoder, format);
                $(
                    if $crate::wire::message!(@untagged $($($tag)?)?)
                        && $crate::wire::message!(@within format.version $(, $range)?)
                    {
                        let nullable =
                            $crate::wire::message!(@within format.version $($(, $null)?)?);
                        $crate::wire::Field::write(
                            &self.$field,
                            encoder,
                            format.nullable(nullable),
                        );
                    }
                )*
            }

            fn write_tagged(
                &self,
                tagged: &mut $crate::wire::TaggedFields,
                format: $crate::wire::Format,
            ) {
                let default = Self::default();
                let _ = (&tagged, format, &default);
                $($($(
                    if $crate::wire::message!(@within format.version, $range) {
                        tagged.write($tag, &self.$field, &default.$field, format);
                    }
                )?)?)*
            }

            fn json_fields(
                &self,
                format: $crate::wire::Format,
            ) -> Vec<(String, $crate::wire::json::Json)> {
                let default = Self::default();
                let mut fields = Vec::new();
                let _ = (format, &default, &mut fields);
                $(
                    if $crate::wire::message!(@within format.version $(, $range)?)
                        && $crate::wire::message!(
                            @printed $($($tag)?)?; self.$field, default.$field
                        )
                    {
                        let name = $crate::wire::json::camel_case(stringify!($field));
                        fields.push((name, $crate::wire::Field::json(&self.$field, format)));
                    }
                )*
                fields
            }
        }

        $(
            impl $crate::wire::Message for $name {
                const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
                const FLEXIBLE: i16 = $flexible;
            }

            $(
                impl $crate::wire::Keyed for $name {
                    const KEY: i16 = $key;
                }
            )?

            $(
                impl $crate::wire::Request for $name {
                    type Response = $answer;
                }
            )?
        )?
    )*};
}
pub(crate) use message;
