use proptest::prelude::*;

use super::*;
use crate::records::golden;

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn inflate(codec: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Inflater::new(codec, bytes, 1 << 20)?.read_to_end(&mut out)?;
    Ok(out)
}

/// The compressed records of the golden batch of `codec`.
fn sample(codec: Compression) -> Vec<u8> {
    golden::batch(&format!("codec-{}", codec.name())).split_off(61)
}

#[test]
fn streams_written_by_kafka_are_read() {
    let plain = sample(Compression::None);
    for codec in Compression::ALL {
        assert_eq!(inflate(codec, &sample(codec)).unwrap(), plain, "{codec:?}");
    }
    let mut big = None;
    for codec in CODECS {
        let bytes = golden::batch(&format!("big-{}", codec.name())).split_off(61);
        let inflated = inflate(codec, &bytes).unwrap();
        assert!(inflated.len() > 80_000, "several blocks");
        assert_eq!(*big.get_or_insert(inflated.clone()), inflated, "{codec:?}");
    }
}

#[test]
fn what_is_compressed_inflates_to_itself_in_kafkas_framing() {
    let plain: Vec<u8> = (0..200_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for plain in [&plain[..], b"x"] {
        for codec in CODECS {
            let compressed = compress(codec, None, plain);
            assert_eq!(inflate(codec, &compressed).unwrap(), plain, "{codec:?}");
        }
    }
    // Frame headers as Kafka writes them: xerial versions; 64 KiB independent blocks without checksums.
    assert_eq!(compress(Compression::Snappy, None, b"x")[..16], sample(Compression::Snappy)[..16]);
    assert_eq!(compress(Compression::Lz4, None, b"x")[..7], sample(Compression::Lz4)[..7]);
}

#[test]
fn levels_outside_a_codecs_range_fall_back() {
    for level in [i32::MIN, -1, 0, 9, 22, i32::MAX] {
        for codec in CODECS {
            let compressed = compress(codec, Some(level), b"some text some text");
            assert_eq!(inflate(codec, &compressed).unwrap(), b"some text some text");
        }
    }
}

#[test]
fn lz4_takes_its_time_at_every_level_but_the_default() {
    let plain: Vec<u8> =
        (0..200_000_u32).flat_map(|i| (i.wrapping_mul(i) / 7_000).to_le_bytes()).collect();
    let fast = compress(Compression::Lz4, None, &plain);
    assert_eq!(compress(Compression::Lz4, Some(9), &plain), fast);
    for level in [1, 8, 10, 17] {
        let compressed = compress(Compression::Lz4, Some(level), &plain);
        assert!(compressed.len() < fast.len(), "{level}: {}, {}", compressed.len(), fast.len());
        assert_eq!(compressed[..7], fast[..7], "the frame's header");
        assert_eq!(inflate(Compression::Lz4, &compressed).unwrap(), plain, "{level}");
    }
}

#[test]
fn raw_and_joined_snappy_is_read() {
    let raw = snap::raw::Encoder::new().compress_vec(b"raw block").unwrap();
    assert_eq!(inflate(Compression::Snappy, &raw).unwrap(), b"raw block");
    let one = compress(Compression::Snappy, None, b"joined");
    assert_eq!(inflate(Compression::Snappy, &[&one[..], &one].concat()).unwrap(), b"joinedjoined");
}

/// What the reference does with a cut, an empty and a continued stream of each codec.
#[test]
fn the_ends_of_streams_are_kafkas() {
    for codec in CODECS {
        let good = sample(codec);
        let plain = inflate(codec, &good).unwrap();
        for cut in 1..good.len() {
            let cut_short = inflate(codec, &good[..cut]);
            // A xerial stream may end after its header; the records are then missing.
            let empty_is_fine = codec == Compression::Snappy && cut == 16;
            assert_eq!(cut_short.is_ok(), empty_is_fine, "{codec:?} cut at {cut}");
        }
        // Only zstd takes nothing for an empty stream, which then lacks its records.
        assert_eq!(inflate(codec, &[]).is_ok(), codec == Compression::Zstd, "{codec:?}");

        let twice = inflate(codec, &[&good[..], &good].concat()).unwrap();
        let doubled = [&plain[..], &plain].concat();
        assert_eq!(twice, if codec == Compression::Lz4 { plain.clone() } else { doubled });

        let followed = inflate(codec, &[&good[..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat());
        match codec {
            Compression::Gzip | Compression::Lz4 => assert_eq!(followed.unwrap(), plain),
            _ => assert!(followed.is_err(), "{codec:?}"),
        }
    }
}

#[test]
fn lz4_that_kafkas_consumers_refuse_is_refused() {
    let linked = FrameInfo::new().block_mode(BlockMode::Linked);
    let mut encoder = FrameEncoder::with_frame_info(linked, Vec::new());
    encoder.write_all(b"linked blocks").unwrap();
    assert!(inflate(Compression::Lz4, &encoder.finish().unwrap()).is_err());
    // The legacy format: another magic, then blocks; this one is 32 literal bytes. Zeros end it.
    let legacy = [&[0x02, 0x21, 0x4c, 0x18, 34, 0, 0, 0, 0xf0, 17][..], &[7; 32], &[0; 4]].concat();
    assert_eq!(FrameDecoder::new(&legacy[..]).bytes().count(), 32, "well-formed");
    assert!(inflate(Compression::Lz4, &legacy).is_err());
}

#[test]
fn a_limit_stops_every_codec() {
    let plain = vec![7; 300_000];
    for codec in Compression::ALL {
        let bytes = compress(codec, None, &plain);
        let read = |limit| {
            let mut inflater = Inflater::new(codec, &bytes, limit)?;
            io::copy(&mut inflater, &mut io::sink())
        };
        assert_eq!(read(300_000).unwrap(), 300_000);
        assert_eq!(read(299_999).unwrap_err().kind(), io::ErrorKind::FileTooLarge, "{codec:?}");
    }
}

#[test]
fn a_snappy_block_cannot_claim_memory() {
    // A length of 2^32 - 1 before a few bytes, raw and framed.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let mut snappy = Snappy::new(&claim).unwrap();
    assert!(snappy.read(&mut [0; 1]).is_err());
    assert_eq!(snappy.block.capacity(), 0);
    let mut framed = compress(Compression::Snappy, None, b"");
    framed.extend_from_slice(&8_u32.to_be_bytes());
    framed.extend_from_slice(&claim);
    let mut snappy = Snappy::new(&framed).unwrap();
    assert!(snappy.read(&mut [0; 1]).is_err());
    assert_eq!(snappy.block.capacity(), 0);
    let long = compress(Compression::Snappy, None, &vec![0; 32 * 1024]);
    assert_eq!(inflate(Compression::Snappy, &long).unwrap().len(), 32 * 1024, "at the best ratio");
}

proptest! {
    #![proptest_config(golden::same_cases())]

    #[test]
    fn damaged_streams_never_panic(
        codec in prop::sample::select(&CODECS[..]),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = golden::batch(&format!("big-{}", codec.name())).split_off(61);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = inflate(codec, &bytes);
        let _ = inflate(codec, &noise);
    }
}

#[test]
fn a_large_zstd_window_is_read_also_in_a_later_frame() {
    let plain = vec![7; 20 << 20];
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(26).unwrap();
    encoder.write_all(&plain).unwrap();
    let large = encoder.finish().unwrap();
    let length = |bytes: &[u8]| {
        let mut inflater = Inflater::new(Compression::Zstd, bytes, INFLATED_BYTES_MAX).unwrap();
        io::copy(&mut inflater, &mut io::sink()).unwrap()
    };
    assert_eq!(length(&large), 20 << 20);
    let small = compress(Compression::Zstd, None, b"first");
    assert_eq!(length(&[small, large].concat()), (20 << 20) + 5);
}
