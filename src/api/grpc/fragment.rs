//! Cuts a watch response that is too large for one message, between events, for watchers that asked for it.

use std::collections::VecDeque;

use prost::{Message, length_delimiter_len};
use proto::etcdserverpb::WatchResponse;

/// Bytes of an event's tag, and of the flag that says that more follows.
const EVENT_TAG_BYTES: usize = 1;
const FLAG_BYTES: usize = 2;

/// The response in pieces of less than `bytes_max` each, at least one event in every piece; all but the last say that more
/// follows. What is smaller stays whole.
pub(crate) fn cut(mut response: WatchResponse, bytes_max: usize) -> VecDeque<WatchResponse> {
    let whole = response.encoded_len();
    if whole < bytes_max || response.events.len() < 2 {
        return VecDeque::from([response]);
    }
    let events = std::mem::take(&mut response.events);
    let empty_bytes = response.encoded_len() + FLAG_BYTES;
    let mut pieces = VecDeque::new();
    let mut piece = response.clone();
    let mut piece_bytes = empty_bytes;
    for event in events {
        let length = event.encoded_len();
        let event_bytes = EVENT_TAG_BYTES + length_delimiter_len(length) + length;
        if !piece.events.is_empty() && piece_bytes + event_bytes >= bytes_max {
            piece.fragment = true;
            pieces.push_back(std::mem::replace(&mut piece, response.clone()));
            piece_bytes = empty_bytes;
        }
        piece_bytes += event_bytes;
        piece.events.push(event);
    }
    pieces.push_back(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use proto::etcdserverpb::ResponseHeader;
    use proto::mvccpb::{Event, KeyValue};

    use super::*;

    fn event(value_bytes: usize) -> Event {
        let kv = KeyValue { key: "k".into(), value: vec![b'v'; value_bytes].into(), ..Default::default() };
        Event { kv: Some(kv), ..Default::default() }
    }

    fn response(events: Vec<Event>) -> WatchResponse {
        let header = ResponseHeader { cluster_id: 1, member_id: 2, revision: 3, raft_term: 4 };
        WatchResponse { header: Some(header), watch_id: 9, events, ..Default::default() }
    }

    #[test]
    fn what_fits_stays_whole() {
        for events in [vec![event(10), event(10)], vec![event(5000)], vec![]] {
            let response = response(events);
            assert_eq!(cut(response.clone(), 1000), [response]);
        }
    }

    #[test]
    fn pieces_are_within_the_bound_and_make_the_whole() {
        for value_bytes in [0, 1, 100, 126, 127, 128, 300] {
            let whole = response((0..50).map(|extra| event(value_bytes + extra)).collect());
            let pieces = cut(whole.clone(), 700);
            let mut joined = response(vec![]);
            let last = pieces.len() - 1;
            for (place, piece) in pieces.into_iter().enumerate() {
                assert!(piece.encoded_len() < 700, "{} bytes", piece.encoded_len());
                assert_eq!((piece.watch_id, piece.header, piece.fragment), (9, whole.header, place < last));
                joined.events.extend(piece.events);
            }
            assert_eq!(joined, whole);
        }
    }

    #[test]
    fn an_event_that_is_too_large_travels_alone() {
        let pieces = cut(response(vec![event(10), event(5000), event(10)]), 1000);
        let counts: Vec<usize> = pieces.iter().map(|piece| piece.events.len()).collect();
        assert_eq!(counts, [1, 1, 1]);
    }
}
