//! What precedes the body of a request or response.

use super::codec::{DecodeError, Decoder, Encoder};

/// The header of a request. Version 1, or 2 with a section of tagged fields; the client id has a
/// 16-bit length in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Number of the API.
    pub api_key: i16,
    /// Version of the request.
    pub api_version: i16,
    /// Goes back in the response.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// API key and version at the beginning of a request; they decide the form of its header.
    pub fn peek(decoder: &Decoder) -> Result<(i16, i16), DecodeError> {
        let mut decoder = decoder.clone();
        let api_key = i16::from_be_bytes(decoder.array()?);
        Ok((api_key, i16::from_be_bytes(decoder.array()?)))
    }

    /// Reads a header, of version 2 if the request is of a flexible version.
    pub fn read(decoder: &mut Decoder, flexible: bool) -> Result<Self, DecodeError> {
        let in_header = |error: DecodeError| error.at("RequestHeader");
        let header = Self {
            api_key: i16::from_be_bytes(decoder.array().map_err(in_header)?),
            api_version: i16::from_be_bytes(decoder.array().map_err(in_header)?),
            correlation_id: i32::from_be_bytes(decoder.array().map_err(in_header)?),
            client_id: decoder.string(false).map_err(in_header)?,
        };
        if flexible {
            decoder.tagged_fields(|_, _| Ok(false)).map_err(in_header)?;
        }
        Ok(header)
    }

    /// Writes the header, with a section of tagged fields if `flexible`.
    pub fn write(&self, encoder: &mut Encoder, flexible: bool) {
        encoder.raw(&self.api_key.to_be_bytes());
        encoder.raw(&self.api_version.to_be_bytes());
        encoder.raw(&self.correlation_id.to_be_bytes());
        encoder.string(self.client_id.as_deref(), false);
        if flexible {
            encoder.unsigned_varint(0);
        }
    }
}

/// Writes the header of a response, of version 1 if `flexible`. A response to `ApiVersions` has
/// version 0 always, so that a client can read it before it knows the broker.
pub fn write_response_header(encoder: &mut Encoder, correlation_id: i32, flexible: bool) {
    encoder.raw(&correlation_id.to_be_bytes());
    if flexible {
        encoder.unsigned_varint(0);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(bytes: &'static [u8], flexible: bool) -> Result<RequestHeader, DecodeError> {
        RequestHeader::read(&mut Decoder::new(Bytes::from_static(bytes)), flexible)
    }

    #[test]
    fn short_headers_are_errors() {
        let whole = b"\0\x12\0\x03\0\0\0\x07\0\x02me\0";
        for length in 0..whole.len() {
            assert!(read(&whole[..length], true).is_err(), "{length} bytes");
        }
        let header = read(whole, true).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (18, 3, 7));
        assert_eq!(header.client_id.as_deref(), Some("me"));
        let [one, three] = [1, 3].map(|length| Decoder::new(Bytes::from(vec![0; length])));
        assert!(RequestHeader::peek(&one).is_err());
        assert!(RequestHeader::peek(&three).is_err());
    }

    #[test]
    fn any_negative_client_id_length_is_null() {
        assert_eq!(read(b"\0\x12\0\0\0\0\0\x07\xff\xfe", false).unwrap().client_id, None);
    }

    #[test]
    fn tags_are_skipped_and_writing_mirrors_reading() {
        let bytes = b"\0\x12\0\x03\0\0\0\x07\0\x02me\x01\x05\x02xy";
        let header = read(bytes, true).unwrap();
        let mut encoder = Encoder::new();
        header.write(&mut encoder, true);
        assert_eq!(
            encoder.finish().into_bytes().unwrap(),
            &b"\0\x12\0\x03\0\0\0\x07\0\x02me\0"[..]
        );
    }
}
