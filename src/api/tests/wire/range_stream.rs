//! A range as a stream: its messages merged are what Range answers, at one revision.

use prost::Message;
use proto::etcdserverpb::{CompactionRequest, PutRequest, RangeRequest, RangeResponse, RangeStreamResponse};
use tonic::{Code, Status};

use crate::support::{Member, assert_refused, put};

/// So large that a part holds two.
const VALUE_BYTES: usize = 900 * 1024;

/// More than a connection holds under way.
const LARGE_KEYS: usize = 12;

fn all() -> RangeRequest {
    RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() }
}

async fn with_keys(count: usize, value_bytes: usize) -> Member {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    for number in 0..count {
        let key = format!("k{number:04}").into();
        let value = vec![b'v'; value_bytes].into();
        kv.put(PutRequest { key, value, ..Default::default() }).await.expect("a put");
    }
    member
}

async fn messages(member: &Member, request: RangeRequest) -> Result<Vec<RangeStreamResponse>, Status> {
    let mut stream = member.kv().await.range_stream(request).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

/// As protocol buffers merge: the fields one after the other.
fn merge(messages: &[RangeStreamResponse]) -> RangeResponse {
    let bytes: Vec<u8> = messages.iter().flat_map(Message::encode_to_vec).collect();
    let merged = RangeStreamResponse::decode(&bytes[..]).expect("a message");
    merged.range_response.expect("an answer")
}

#[tokio::test]
async fn merged_it_is_the_range() {
    let member = with_keys(300, 8).await;
    let mut kv = member.kv().await;
    for request in [
        all(),
        RangeRequest { limit: 7, ..all() },
        RangeRequest { limit: 10, ..all() },
        RangeRequest { limit: 100, ..all() },
        RangeRequest { limit: 300, ..all() },
        RangeRequest { limit: -1, revision: 120, ..all() },
        RangeRequest { revision: 120, limit: 50, keys_only: true, ..all() },
        RangeRequest { count_only: true, ..all() },
        RangeRequest { count_only: true, limit: 3, revision: 50, ..all() },
        RangeRequest { serializable: true, sort_order: 1, ..all() },
        RangeRequest { sort_target: 3, ..all() },
        RangeRequest { range_end: "a".into(), ..all() },
        RangeRequest { range_end: "\0".into(), ..all() },
        RangeRequest { key: "k0007".into(), ..Default::default() },
        RangeRequest { key: "absent".into(), ..Default::default() },
    ] {
        // Sorting by another target without an order is no order to a stream, and one to a range.
        let plain = RangeRequest { sort_target: 0, sort_order: 0, ..request.clone() };
        let expected = kv.range(plain).await.expect("a range").into_inner();
        let messages = messages(&member, request.clone()).await.expect("a stream");
        assert_eq!(merge(&messages), expected, "{request:?}");
        let (last, others) = messages.split_last().expect("a last message");
        assert!(last.range_response.as_ref().is_some_and(|last| last.header.is_some()));
        for part in others {
            let part = part.range_response.as_ref().expect("a part");
            assert_eq!((part.header, part.more, part.count), (None, false, 0), "only the last one says so");
            assert!(!part.kvs.is_empty());
        }
    }
    member.stop().await;
}

#[tokio::test]
async fn the_first_part_is_small_and_the_next_ones_double() {
    let member = with_keys(100, 8).await;
    let messages = messages(&member, all()).await.expect("a stream");
    let sizes: Vec<usize> =
        messages.iter().map(|part| part.range_response.as_ref().expect("a part").kvs.len()).collect();
    assert_eq!(sizes, [10, 20, 40, 30]);
    member.stop().await;
}

#[tokio::test]
async fn no_part_is_much_larger_than_a_request() {
    let member = with_keys(LARGE_KEYS, VALUE_BYTES).await;
    let messages = messages(&member, all()).await.expect("a stream");
    assert!(messages.iter().all(|part| part.encoded_len() < 2 * VALUE_BYTES + 1024), "two values each");
    assert_eq!(merge(&messages).count, 12);
    member.stop().await;
}

#[tokio::test]
async fn what_is_written_meanwhile_is_not_in_it() {
    let member = with_keys(LARGE_KEYS, VALUE_BYTES).await;
    let mut kv = member.kv().await;
    let mut stream = kv.range_stream(all()).await.expect("a stream").into_inner();
    let mut messages = vec![stream.message().await.expect("a part").expect("the first of several")];
    for key in ["k0000", "k0011", "k0012"] {
        kv.put(put(key, "later")).await.expect("a put");
    }
    while let Some(message) = stream.message().await.expect("a part") {
        messages.push(message);
    }
    let merged = merge(&messages);
    assert_eq!((merged.count, merged.kvs.len(), merged.header.expect("a header").revision), (12, 12, 13));
    assert!(merged.kvs.iter().all(|pair| pair.value.len() == VALUE_BYTES));
    member.stop().await;
}

#[tokio::test]
async fn a_compaction_ends_it() {
    let member = with_keys(LARGE_KEYS, VALUE_BYTES).await;
    let mut kv = member.kv().await;
    let mut stream = kv.range_stream(all()).await.expect("a stream").into_inner();
    stream.message().await.expect("a part").expect("the first of several");
    let revision = kv.put(put("other", "")).await.expect("a put").into_inner().header.expect("a header").revision;
    kv.compact(CompactionRequest { revision, physical: false }).await.expect("a compaction");
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_refused(end, Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
    member.stop().await;
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused() {
    let member = with_keys(1, 1).await;
    let sorted = "RangeStream does not support custom sort orders";
    let filtered = "RangeStream does not support revision filters";
    let cases = [
        (RangeRequest::default(), Code::InvalidArgument, "etcdserver: key is not provided"),
        (RangeRequest { sort_order: 7, ..all() }, Code::InvalidArgument, "etcdserver: invalid sort option"),
        (RangeRequest { sort_order: 2, ..all() }, Code::Unimplemented, sorted),
        (RangeRequest { sort_order: 1, sort_target: 4, ..all() }, Code::Unimplemented, sorted),
        (RangeRequest { sort_order: 2, min_mod_revision: 1, ..all() }, Code::Unimplemented, sorted),
        (RangeRequest { min_mod_revision: 1, ..all() }, Code::Unimplemented, filtered),
        (RangeRequest { max_mod_revision: 1, ..all() }, Code::Unimplemented, filtered),
        (RangeRequest { min_create_revision: 1, ..all() }, Code::Unimplemented, filtered),
        (RangeRequest { max_create_revision: -1, ..all() }, Code::Unimplemented, filtered),
        (
            RangeRequest { revision: 99, ..all() },
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ];
    for (request, code, text) in cases {
        assert_refused(messages(&member, request).await, code, text);
    }
    member.stop().await;
}
