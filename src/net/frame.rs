//! Frames: a length of four bytes, big-endian, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// Why a frame closes its connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// Zero or negative.
    #[error("frame of {0} bytes announced; a request has at least its header")]
    TooSmall(i32),
    /// Above `socket.request.max.bytes`.
    #[error("frame of {size_bytes} bytes announced, socket.request.max.bytes is {max_bytes}")]
    TooLarge {
        /// Announced size.
        size_bytes: i32,
        /// The limit.
        max_bytes: usize,
    },
}

/// What stands at the beginning of the received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole frame, taken from the buffer without a copy.
    Whole(Bytes),
    /// More bytes are needed: this many in all, as far as is known.
    Missing(usize),
}

/// Takes the next frame from the front of `received`.
pub(super) fn take_frame(received: &mut BytesMut, max_bytes: usize) -> Result<Frame, FrameError> {
    let Some(prefix) = received.first_chunk::<4>() else {
        return Ok(Frame::Missing(4 - received.len()));
    };
    let announced = i32::from_be_bytes(*prefix);
    let size_bytes = match usize::try_from(announced) {
        Ok(0) | Err(_) => return Err(FrameError::TooSmall(announced)),
        Ok(size) if size > max_bytes => {
            return Err(FrameError::TooLarge { size_bytes: announced, max_bytes });
        }
        Ok(size) => size,
    };
    if received.len() < 4 + size_bytes {
        return Ok(Frame::Missing(4 + size_bytes - received.len()));
    }
    received.advance(4);
    Ok(Frame::Whole(received.split_to(size_bytes).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_in_order_and_the_rest_stays() {
        let mut received = BytesMut::from(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9, 0][..]);
        assert_eq!(take_frame(&mut received, 10), Ok(Frame::Whole(Bytes::from_static(&[7, 8]))));
        assert_eq!(take_frame(&mut received, 10), Ok(Frame::Whole(Bytes::from_static(&[9]))));
        assert_eq!(take_frame(&mut received, 10), Ok(Frame::Missing(3)));
        assert_eq!(&received[..], &[0]);
    }

    #[test]
    fn sizes_outside_the_limits_are_refused_and_the_limit_itself_waits() {
        let sized = |size: i32| BytesMut::from(&size.to_be_bytes()[..]);
        assert_eq!(take_frame(&mut sized(0), 100), Err(FrameError::TooSmall(0)));
        assert_eq!(take_frame(&mut sized(-1), 100), Err(FrameError::TooSmall(-1)));
        assert!(matches!(take_frame(&mut sized(101), 100), Err(FrameError::TooLarge { .. })));
        assert_eq!(take_frame(&mut sized(100), 100), Ok(Frame::Missing(100)));
    }
}
