//! Requests on one connection, several of them unanswered at a time.
//!
//! A frame is a list of pieces that are written in one call; whoever sends the same request again shares the pieces, and
//! nothing of them is touched: all have the same correlation id, as answers come in the order of the requests.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use super::pace::Dues;
use crate::client::{ClientError, Connection};

/// A request with its length in front.
pub(super) type Frame = Arc<[Bytes]>;

/// Sends what `frame` gives when it is due and gives each answer with that time to `answered`.
pub(super) async fn exchange(
    connection: Connection,
    mut dues: Dues,
    in_flight: usize,
    mut frame: impl FnMut(Instant) -> Frame,
    mut answered: impl FnMut(Instant, &Bytes) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let (mut answers, mut output, peer) = connection.split();
    let slots = Semaphore::new(in_flight);
    let (asked, mut unanswered) = unbounded_channel();
    let send = async {
        let asked = asked;
        // Without its slot no request is due: where there is no schedule it is due when it can be sent.
        while let Ok(slot) = slots.acquire().await {
            let Some(due) = dues.next().await else { break };
            slot.forget();
            if asked.send(due).is_err() {
                break;
            }
            write(&mut output, &frame(due)).await.map_err(|cause| peer.lost(cause))?;
        }
        Ok(())
    };
    let receive = async {
        while let Some(due) = unanswered.recv().await {
            let answer = peer.in_time(answers.next(&peer)).await?;
            slots.add_permits(1);
            answered(due, &answer)?;
        }
        Ok(())
    };
    tokio::try_join!(send, receive).map(|_| ())
}

/// As [`exchange`] for requests that nobody answers; `sent` hears when the socket has all of one.
pub(super) async fn pour(
    connection: Connection,
    mut dues: Dues,
    mut frame: impl FnMut(Instant) -> Frame,
    mut sent: impl FnMut(Instant),
) -> Result<Connection, ClientError> {
    let (answers, mut output, peer) = connection.split();
    while let Some(due) = dues.next().await {
        write(&mut output, &frame(due)).await.map_err(|cause| peer.lost(cause))?;
        sent(due);
    }
    Connection::join(answers, output, peer)
}

async fn write(output: &mut OwnedWriteHalf, frame: &[Bytes]) -> std::io::Result<()> {
    let mut pieces: Vec<IoSlice<'_>> = frame.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut pieces[..];
    while !rest.is_empty() {
        match output.write_vectored(rest).await? {
            0 => return Err(std::io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written),
        }
    }
    Ok(())
}
