//! Bytes on the wire: encodings written by hand, and what decoding promises to those who build on it.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::range_request::SortOrder;
use proto::etcdserverpb::watch_create_request::FilterType;
use proto::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest, WatchCreateRequest, request_op,
};
use proto::mvccpb::KeyValue;
use proto::quoratepb::{AppendRequest, Entry, EntryKind, LogId};

#[test]
fn put_request_encodes_to_known_bytes() {
    let request = PutRequest { key: "k".into(), value: "v".into(), lease: 5, prev_kv: true, ..PutRequest::default() };
    assert_eq!(request.encode_to_vec(), b"\x0a\x01k\x12\x01v\x18\x05\x20\x01");
}

#[test]
fn compare_range_end_is_field_64() {
    let compare = Compare { range_end: "z".into(), ..Compare::default() };
    assert_eq!(compare.encode_to_vec(), b"\x82\x04\x01z");
}

#[test]
fn filters_decode_packed_and_one_by_one() {
    let both = [FilterType::Noput as i32, FilterType::Nodelete as i32];
    for frame in [&b"\x2a\x02\x00\x01"[..], b"\x28\x00\x28\x01"] {
        let request = WatchCreateRequest::decode(frame).expect("a valid frame");
        assert_eq!(request.filters, both, "{frame:?}");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    // Field 500, a string, before the key.
    let request = RangeRequest::decode(&b"\xa2\x1f\x03new\x0a\x01k"[..]).expect("a valid frame");
    assert_eq!(request, RangeRequest { key: "k".into(), ..RangeRequest::default() });
}

#[test]
fn unknown_enum_numbers_are_kept() {
    let request = RangeRequest::decode(&b"\x28\x09"[..]).expect("a valid frame");
    assert_eq!(request.sort_order, 9);
    assert!(SortOrder::try_from(request.sort_order).is_err());
}

#[test]
fn decoded_values_share_the_frame() {
    let pair = KeyValue { key: "key".into(), value: vec![7; 4096].into(), ..KeyValue::default() };
    let response = RangeResponse { kvs: vec![pair.clone(), pair], count: 2, ..RangeResponse::default() };
    let frame = Bytes::from(response.encode_to_vec());
    let decoded = RangeResponse::decode(frame.clone()).expect("a valid frame");
    assert_eq!(decoded, response);
    for kv in &decoded.kvs {
        assert!(is_slice_of(&kv.key, &frame) && is_slice_of(&kv.value, &frame), "a value was copied");
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let mut txn = TxnRequest::default();
    for _ in 0..100 {
        let request = Some(request_op::Request::RequestTxn(txn));
        txn = TxnRequest { success: vec![RequestOp { request }], ..TxnRequest::default() };
    }
    assert!(TxnRequest::decode(Bytes::from(txn.encode_to_vec())).is_err());
}

#[test]
fn first_log_entry_differs_from_none() {
    let first = AppendRequest { prev_log_id: Some(LogId::default()), ..AppendRequest::default() };
    let decoded = AppendRequest::decode(Bytes::from(first.encode_to_vec())).expect("a valid frame");
    assert_eq!(decoded, first);
    assert_eq!(AppendRequest::decode(Bytes::new()).expect("a valid frame").prev_log_id, None);
}

#[test]
fn replicated_payloads_share_the_frame() {
    let entry = Entry {
        log_id: Some(LogId { term: 3, index: 41 }),
        kind: EntryKind::Command.into(),
        payload: vec![9; 4096].into(),
    };
    let request = AppendRequest { entries: vec![entry], ..AppendRequest::default() };
    let frame = Bytes::from(request.encode_to_vec());
    let decoded = AppendRequest::decode(frame.clone()).expect("a valid frame");
    assert_eq!(decoded, request);
    assert!(is_slice_of(&decoded.entries[0].payload, &frame), "a payload was copied");
}

fn is_slice_of(part: &Bytes, whole: &Bytes) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}
