//! Frames of a snapshot, written and read back, whole and damaged.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use proto::quoratepb::snapshot_chunk::Part;
use proto::quoratepb::{FetchRequest, SnapshotChunk, SnapshotHead};
use tokio::time::Instant;

use super::fake::{Fake, header, vote};
use super::served::Served;
use crate::{CallError, PIECE_BYTES_MAX, read_snapshot, snapshot_frames};

fn head() -> SnapshotHead {
    SnapshotHead { header: Some(header()), vote: Some(vote(1)), ..SnapshotHead::default() }
}

async fn written(pieces: Vec<io::Result<Bytes>>) -> Vec<SnapshotChunk> {
    snapshot_frames(head(), stream::iter(pieces), None).collect().await
}

async fn read(chunks: Vec<SnapshotChunk>) -> Result<Vec<u8>, CallError> {
    let (read_head, pieces) = read_snapshot(stream::iter(chunks).boxed()).await?;
    assert_eq!(read_head, head());
    let pieces: Vec<Bytes> = pieces.try_collect().await?;
    Ok(pieces.concat())
}

async fn error(chunks: Vec<SnapshotChunk>) -> String {
    match read(chunks).await {
        Err(CallError::Malformed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

async fn example() -> Vec<SnapshotChunk> {
    written(["one", "two", "three"].map(|text| Ok(Bytes::from(text))).into()).await
}

#[tokio::test]
async fn bytes_of_any_pieces_come_back() {
    for sizes in [&[][..], &[0], &[1], &[0, 1, 0], &[PIECE_BYTES_MAX], &[PIECE_BYTES_MAX * 2 + 1, 5]] {
        let pieces: Vec<Bytes> = sizes
            .iter()
            .zip(1..)
            .map(|(size, step)| (0..=u8::MAX).step_by(step).cycle().take(*size).collect())
            .collect();
        let chunks = written(pieces.iter().cloned().map(Ok).collect()).await;
        for chunk in &chunks {
            if let Some(Part::Data(piece)) = &chunk.part {
                assert!(!piece.data.is_empty() && piece.data.len() <= PIECE_BYTES_MAX);
            }
        }
        assert_eq!(read(chunks).await, Ok(pieces.concat()), "{sizes:?}");
    }
}

#[tokio::test]
async fn the_checksum_is_crc_32c_of_everything_so_far() {
    let chunks = written(vec![Ok(Bytes::from("12345")), Ok(Bytes::from("6789"))]).await;
    let Some(Part::Data(last)) = &chunks[2].part else { panic!("{chunks:?}") };
    assert_eq!(last.crc32c, 0xe306_9283, "the check value of CRC-32C");
}

#[tokio::test]
async fn a_source_that_fails_leaves_out_the_tail() {
    let chunks = written(vec![Ok(Bytes::from("one")), Err(io::Error::other("disk")), Ok(Bytes::from("two"))]).await;
    assert_eq!(chunks.len(), 2);
    assert_eq!(error(chunks).await, "snapshot: no tail");
}

#[tokio::test]
async fn every_frame_that_is_lost_doubled_or_out_of_place_is_noticed() {
    let whole = example().await;
    assert_eq!(read(whole.clone()).await, Ok(b"onetwothree".to_vec()));
    for at in 0..whole.len() {
        let mut lost = whole.clone();
        lost.remove(at);
        error(lost).await;
        let mut doubled = whole.clone();
        doubled.insert(at, whole[at].clone());
        error(doubled).await;
        error(whole[..at].to_vec()).await;
        if at > 0 {
            let mut swapped = whole.clone();
            swapped.swap(at - 1, at);
            error(swapped).await;
        }
    }
}

#[tokio::test]
async fn every_bit_that_flips_is_noticed() {
    let whole = example().await;
    for at in 1..whole.len() - 1 {
        let Some(Part::Data(piece)) = &whole[at].part else { panic!("{:?}", whole[at]) };
        for bit in 0..piece.data.len() * 8 {
            let mut bytes = piece.data.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut damaged = whole.clone();
            let crc32c = piece.crc32c;
            damaged[at].part = Some(Part::Data(proto::quoratepb::SnapshotData { data: bytes.into(), crc32c }));
            let reason = error(damaged).await;
            assert!(reason.contains("a bad checksum"), "{reason}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let whole = example().await;
    assert_eq!(error(Vec::new()).await, "snapshot: no head");
    assert_eq!(error(whole[1..].to_vec()).await, "snapshot: data before its head");
    assert_eq!(error(whole[4..].to_vec()).await, "snapshot: a tail before its head");
    assert_eq!(error(vec![SnapshotChunk { part: None }]).await, "snapshot: an empty frame");
    assert_eq!(error(vec![whole[0].clone(), whole[0].clone()]).await, "snapshot: a second head");
    assert_eq!(error(vec![whole[0].clone(), SnapshotChunk { part: None }]).await, "snapshot: an empty frame");
    let short = vec![whole[0].clone(), whole[1].clone(), whole[4].clone()];
    assert_eq!(error(short).await, "snapshot: a total of 11 bytes where 3 came");
    assert_eq!(error([&whole[..], &whole[4..]].concat()).await, "snapshot: a frame after the tail");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let pieces = stream::iter((0..8).map(|_| Ok(Bytes::from(vec![7; PIECE_BYTES_MAX]))));
    let rate = NonZeroU64::new(1024 * 1024);
    let begun = Instant::now();
    let frames = snapshot_frames(head(), pieces, rate).count().await;
    assert_eq!(frames, 10);
    assert_eq!(begun.elapsed(), Duration::from_millis(1750), "2 MiB, of which the last piece is not waited for");
}

fn fetch() -> FetchRequest {
    FetchRequest { header: Some(header()) }
}

#[tokio::test]
async fn a_state_is_fetched_over_the_network() {
    let served = Served::start(Arc::new(Fake::default())).await;
    let chunks = served.dial().fetch(fetch(), Duration::from_secs(10)).await.unwrap();
    let chunks: Vec<SnapshotChunk> = chunks.try_collect().await.unwrap();
    let (read_head, pieces) = read_snapshot(stream::iter(chunks).boxed()).await.unwrap();
    assert_eq!(read_head.header, Some(header()), "the request arrived");
    let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"onetwo");
}

#[tokio::test]
async fn a_member_that_gives_no_state_says_why_and_one_that_falls_silent_is_given_up() {
    let refusing = Served::start(Fake::failing(CallError::NotServing)).await;
    let refused = refusing.dial().fetch(fetch(), Duration::from_secs(10)).await;
    assert_eq!(refused.err(), Some(CallError::NotServing));
    let stuck = Served::start(Arc::new(Fake { is_stuck: true, ..Fake::default() })).await;
    let chunks = stuck.dial().fetch(fetch(), Duration::from_millis(100)).await.unwrap();
    let chunks: Vec<_> = chunks.collect().await;
    assert_eq!(chunks.iter().filter(|chunk| chunk.is_ok()).count(), 2);
    assert_eq!(chunks.last(), Some(&Err(CallError::Timeout)));
}
