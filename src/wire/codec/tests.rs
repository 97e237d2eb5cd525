//! One test for each rule, named after it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::wire::messages::{metadata::*, produce::*};
use crate::wire::{Message, message};

const CLASSIC: Format = Format { version: 0, flexible: false, nullable: false, tagged: false };
const COMPACT: Format = Format { version: 0, flexible: true, nullable: false, tagged: false };

fn read<T: Field>(bytes: &[u8], format: Format) -> Result<T, DecodeErrorKind> {
    T::read(&mut Decoder::new(Bytes::copy_from_slice(bytes)), format).map_err(|error| error.kind)
}

fn written<T: Field>(value: &T, format: Format) -> Bytes {
    let mut encoder = Encoder::new();
    value.write(&mut encoder, format);
    encoder.finish().into_bytes().unwrap()
}

fn decode<M: Message>(bytes: &[u8], version: i16) -> Result<M, DecodeErrorKind> {
    M::from_bytes(Bytes::copy_from_slice(bytes), version).map_err(|error| error.kind)
}

#[test]
fn numbers_are_big_endian() {
    assert_eq!(read::<i16>(b"\xff\xfe", CLASSIC), Ok(-2));
    assert_eq!(read::<u16>(b"\xff\xfe", CLASSIC), Ok(65534));
    assert_eq!(read::<i64>(b"\0\0\0\0\0\0\x01\x02", CLASSIC), Ok(258));
    assert_eq!(written(&1.5_f64, CLASSIC), &b"\x3f\xf8\0\0\0\0\0\0"[..]);
    assert_eq!(read::<i32>(b"\0\0\0", CLASSIC).unwrap_err().to_string(), {
        "4 bytes needed, but only 3 remain"
    });
}

#[test]
fn every_byte_but_zero_is_true() {
    assert_eq!(read::<bool>(b"\x02", CLASSIC), Ok(true));
    assert_eq!(read::<bool>(b"\xff", CLASSIC), Ok(true));
    assert_eq!(read::<bool>(b"\0", CLASSIC), Ok(false));
    assert_eq!(written(&true, CLASSIC), &b"\x01"[..]);
}

#[test]
fn bytes_after_the_body_are_ignored() {
    let request: MetadataRequest = decode(b"\0\0\0\0and more", 0).unwrap();
    assert_eq!(request.topics, Some(vec![]));
}

#[test]
fn strings_that_are_not_utf8_are_read_with_replacements() {
    assert_eq!(read::<String>(b"\0\x03a\xffb", CLASSIC).unwrap(), "a\u{fffd}b");
}

#[test]
fn every_negative_length_is_null() {
    let classic = CLASSIC.nullable(true);
    let compact = COMPACT.nullable(true);
    assert_eq!(read::<Option<String>>(b"\xff\xff", classic), Ok(None));
    assert_eq!(read::<Option<String>>(b"\xff\xfe", classic), Ok(None));
    assert_eq!(read::<Option<Bytes>>(b"\x80\0\0\0", classic), Ok(None));
    assert_eq!(read::<Option<Vec<i32>>>(b"\xff\xff\xff\xfe", classic), Ok(None));
    assert_eq!(read::<Option<String>>(b"\0", compact), Ok(None));
    // 2^32 - 1 overflows to -1, less one to -2.
    assert_eq!(read::<Option<String>>(b"\xff\xff\xff\xff\x0f", compact), Ok(None));
    assert_eq!(read::<Option<Vec<i32>>>(b"\xff\xff\xff\xff\x0f", compact), Ok(None));
}

#[test]
fn null_is_refused_where_the_version_has_none() {
    assert_eq!(read::<String>(b"\xff\xff", CLASSIC), Err(DecodeErrorKind::Null));
    assert_eq!(read::<Vec<i32>>(b"\0", COMPACT), Err(DecodeErrorKind::Null));
    assert_eq!(read::<Option<String>>(b"\0", COMPACT), Err(DecodeErrorKind::Null));
}

#[test]
fn none_in_a_version_without_null_is_written_as_empty() {
    assert_eq!(written(&None::<String>, CLASSIC), &b"\0\0"[..]);
    assert_eq!(written(&None::<Vec<i32>>, COMPACT), &b"\x01"[..]);
    assert_eq!(written(&None::<String>, COMPACT.nullable(true)), &b"\0"[..]);
}

#[test]
fn compact_lengths_are_one_more() {
    assert_eq!(written(&"ab".to_owned(), COMPACT), &b"\x03ab"[..]);
    assert_eq!(read::<Bytes>(b"\x03ab", COMPACT).unwrap(), "ab");
    assert_eq!(written(&vec![1_i8], COMPACT), &b"\x02\x01"[..]);
}

#[test]
fn a_string_has_at_most_32767_bytes() {
    let long = [&b"\x81\x80\x02"[..], &vec![b'a'; 32768]].concat();
    assert_eq!(read::<String>(&long, COMPACT), Err(DecodeErrorKind::StringTooLong(32768)));
    let text = "ä".repeat(20_000);
    for format in [CLASSIC, COMPACT] {
        let back: String = read(&written(&text, format), format).unwrap();
        assert_eq!(back, "ä".repeat(16_383));
    }
}

#[test]
fn a_variable_length_integer_of_too_many_bytes_is_refused() {
    let varint = |bytes: &'static [u8]| Decoder::new(Bytes::from_static(bytes)).unsigned_varint();
    assert_eq!(varint(b"\x80\x80\x80\x80\x00"), Ok(0));
    assert_eq!(varint(b"\xff\xff\xff\xff\x7f"), Ok(u32::MAX));
    assert_eq!(varint(b"\x80\x80\x80\x80\x80\x00"), Err(DecodeErrorKind::VarintTooLong.into()));
    assert!(varint(b"\x80").is_err());
    let varlong = |bytes: &[u8]| Decoder::new(Bytes::copy_from_slice(bytes)).unsigned_varlong();
    assert_eq!(varlong(&[0x80; 11]), Err(DecodeErrorKind::VarintTooLong.into()));
    assert_eq!(varlong(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok(u64::MAX));
}

#[test]
fn an_array_longer_than_the_rest_is_refused_and_little_room_is_made() {
    let refused = |bytes: &[u8], format| match read::<Vec<i8>>(bytes, format) {
        Err(DecodeErrorKind::ArrayTooLong { size, remaining }) => (size, remaining),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(b"\x7f\xff\xff\xffab", CLASSIC), (i32::MAX, 2));
    assert_eq!(refused(b"\x80\x80\x80\x80\x08ab", COMPACT), (i32::MAX, 2));
    assert_eq!(refused(b"\0\0\0\x03ab", CLASSIC), (3, 2));
    let list: Vec<[u8; 64]> = Decoder::new(vec![0; 1 << 20].into()).list(1_000_000).unwrap();
    assert!(list.capacity() <= 1024);
}

#[test]
fn arrays_that_hold_too_much_in_all_are_refused() {
    let mut decoder = Decoder::new(vec![0; 1 << 20].into());
    assert!(decoder.list::<String>(600_000).is_ok());
    let kind = decoder.list::<String>(600_000).map_err(|error| error.kind);
    assert_eq!(kind, Err(DecodeErrorKind::TooManyElements));
}

#[test]
fn hostile_bodies_are_errors() {
    use DecodeErrorKind::{ArrayTooLong, Null};
    // A compact length of 2^32 - 1 reads as null, which is all topics to Metadata from version 1.
    assert_eq!(decode::<MetadataRequest>(b"\xff\xff\xff\xff\x0f\x01\x01\x01\0", 9), {
        let topics = None;
        Ok(MetadataRequest {
            topics,
            include_topic_authorized_operations: true,
            include_cluster_authorized_operations: true,
            ..MetadataRequest::default()
        })
    });
    assert!(decode::<MetadataRequest>(b"\xff\xff\xff\xff\x0f", 9).is_err());
    let huge = ArrayTooLong { size: i32::MAX, remaining: 0 };
    assert_eq!(decode::<MetadataRequest>(b"\x7f\xff\xff\xff", 0), Err(huge));
    let large = ArrayTooLong { size: 0x033c_0c00, remaining: 1 };
    assert_eq!(decode::<MetadataRequest>(b"\x03\x3c\x0c\x00\xb6", 0), Err(large));
    let produce = b"\0\0\x01\0\0\x75\x30\xff\xff\xff\xff\x0f";
    assert_eq!(decode::<ProduceRequest>(produce, 9), Err(Null));
}

message! {
    /// For the tests.
    pub(super) struct Everything: versions 0..=3, flexible 1 {
        old: i32 [..=1] = 7,
        new: String [2..],
        room: Option<Inner> [.., null 2..],
        /// Documented.
        rooms: Vec<Inner>,
        id: Uuid,
        small: i8 [2.., tag 0] = -1,
        tree: Inner [3.., tag 1],
        note: Option<String> [2.., tag 5] = Some("none".to_owned()),
    }

    pub(super) struct Inner {
        number: u32 [1..],
        unsure: bool = true,
    }
}

#[test]
fn a_field_outside_its_versions_reads_as_its_default_and_is_not_written() {
    let message = Everything { old: 1, new: "n".to_owned(), ..Everything::default() };
    let at_0 = decode::<Everything>(&message.to_bytes(0).unwrap(), 0).unwrap();
    assert_eq!((at_0.old, at_0.new.as_str(), at_0.small), (1, "", -1));
    let at_2 = decode::<Everything>(&message.to_bytes(2).unwrap(), 2).unwrap();
    assert_eq!((at_2.old, at_2.new.as_str()), (7, "n"));
    assert_eq!(decode::<Everything>(b"", 4), Err(DecodeErrorKind::UnsupportedVersion(4)));
}

#[test]
fn a_nullable_structure_is_marked_where_it_may_be_null() {
    let message = Everything { room: Some(Inner::default()), ..Everything::default() };
    assert_eq!(message.to_bytes(0).unwrap()[4..9], *b"\x01\0\0\0\0");
    assert_eq!(message.to_bytes(2).unwrap()[1..8], *b"\x01\0\0\0\0\x01\0");
    assert_eq!(Everything::default().to_bytes(2).unwrap()[1], 0xff);
    let back = decode::<Everything>(&message.to_bytes(2).unwrap(), 2).unwrap();
    assert_eq!(back.room, message.room);
    assert_eq!(
        decode::<Everything>(&Everything::default().to_bytes(2).unwrap(), 2).unwrap().room,
        { None }
    );
}

/// An `Everything` of version 3 up to its tags.
fn before_tags() -> Vec<u8> {
    let mut bytes = Everything::default().to_bytes(3).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0), "no field differs from its default");
    bytes
}

#[test]
fn tagged_fields_are_written_if_they_differ_and_in_order() {
    let mut message = Everything { small: 3, note: None, ..Everything::default() };
    message.tree.unsure = false;
    let bytes = message.to_bytes(3).unwrap();
    assert_eq!(bytes[before_tags().len()..], *b"\x03\0\x01\x03\x01\x06\0\0\0\0\0\0\x05\x01\0");
    assert_eq!(decode::<Everything>(&bytes, 3), Ok(message));
}

#[test]
fn unknown_and_repeated_tags_are_accepted() {
    let tags = b"\x04\x09\x02xy\0\x01\x03\0\x01\x04\x09\0";
    let message = decode::<Everything>(&[&before_tags(), &tags[..]].concat(), 3).unwrap();
    assert_eq!(message, Everything { small: 4, ..Everything::default() });
}

#[test]
fn a_negative_number_of_tags_is_none() {
    let bytes = [&before_tags(), &b"\xff\xff\xff\xff\x0f"[..]].concat();
    assert_eq!(decode::<Everything>(&bytes, 3), Ok(Everything::default()));
}

#[test]
fn an_unknown_tag_beyond_the_end_is_refused() {
    for size in [&b"\x02"[..], b"\xff\xff\xff\xff\x0f"] {
        let bytes = [&before_tags(), &b"\x01\x09"[..], size, b"x"].concat();
        assert!(matches!(decode::<Everything>(&bytes, 3), Err(DecodeErrorKind::Truncated { .. })));
    }
}

#[test]
fn a_tag_of_a_later_version_is_refused() {
    let mut bytes = Everything::default().to_bytes(2).unwrap().to_vec();
    *bytes.last_mut().unwrap() = 1;
    bytes.extend(b"\x01\x06\0\0\0\0\0\0");
    let error = Everything::from_bytes(bytes.into(), 2).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TagNotValid { tag: 1, version: 2 });
    assert_eq!(error.to_string(), "tag 1 is not valid in version 2 in Everything");
}

#[test]
fn an_error_names_the_innermost_field() {
    let body = Bytes::from_static(b"\0\0\0\x01\0\x09abc");
    let error = MetadataRequest::from_bytes(body, 0).unwrap_err();
    assert_eq!(error.field, "MetadataRequestTopic.name");
}

#[test]
fn byte_fields_share_the_memory_of_the_frame() {
    let frame = Bytes::from_static(b"\0\0\0\x03abcd");
    let field = Bytes::read(&mut Decoder::new(frame.clone()), CLASSIC).unwrap();
    assert_eq!(field.as_ptr(), frame[4..].as_ptr());
}

/// A file of the bytes 0, 1, 2, ...
struct CountingFile;

impl crate::env::DiskFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        let count = buffer.len().min(256_usize.saturating_sub(position as usize));
        for (index, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = (position as usize + index) as u8;
        }
        Ok(count)
    }
    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> std::io::Result<u64> {
        Ok(256)
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn large_bytes_and_file_ranges_go_out_uncopied_and_in_order() {
    let large = Bytes::from(vec![7; 600]);
    let file = Chunk::File { file: Arc::new(CountingFile), position: 16, length: 3 };
    let mut encoder = Encoder::frame();
    encoder.chunk(Bytes::from_static(b"small").into());
    Some(file.clone()).write(&mut encoder, CLASSIC.nullable(true));
    encoder.chunk(Bytes::new().into());
    encoder.chunk(large.clone().into());
    encoder.raw(b"end");
    let segments = encoder.finish();
    assert_eq!(segments.len(), 4 + 5 + 4 + 3 + 600 + 3);
    let chunks = segments.clone().into_chunks();
    assert_eq!(chunks.len(), 4);
    assert_eq!(chunks[0], Bytes::from_static(b"\0\0\x02\x67small\0\0\0\x03").into());
    assert_eq!(chunks[1], file);
    assert!(matches!(&chunks[2], Chunk::Bytes(bytes) if bytes.as_ptr() == large.as_ptr()));
    assert_eq!(chunks[3], Bytes::from_static(b"end").into());
    let all = segments.into_bytes().unwrap();
    assert_eq!(all[13..16], [16, 17, 18]);
    let beyond = Chunk::File { file: Arc::new(CountingFile), position: 250, length: 9 };
    assert_eq!(beyond.into_bytes().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

proptest! {
    #[test]
    fn variable_length_integers_are_read_as_written(small: i32, large: i64, shift in 0..63) {
        let (small, large) = (small >> (shift / 2), large >> shift);
        let mut encoder = Encoder::new();
        encoder.varint(small);
        encoder.varlong(large);
        encoder.unsigned_varint(small as u32);
        encoder.unsigned_varlong(large as u64);
        let mut decoder = Decoder::new(encoder.finish().into_bytes().unwrap());
        prop_assert_eq!(decoder.varint(), Ok(small));
        prop_assert_eq!(decoder.varlong(), Ok(large));
        prop_assert_eq!(decoder.unsigned_varint(), Ok(small as u32));
        prop_assert_eq!(decoder.unsigned_varlong(), Ok(large as u64));
        prop_assert_eq!(decoder.remaining(), 0);
    }

    #[test]
    fn what_can_be_read_reads_the_same_once_written(
        bytes: Vec<u8>,
        version in Everything::VERSIONS,
    ) {
        if let Ok(message) = decode::<Everything>(&bytes, version) {
            let written = message.to_bytes(version).unwrap();
            prop_assert_eq!(decode::<Everything>(&written, version), Ok(message));
        }
    }
}
