//! JSON in and out, as etcd's gateway reads and writes it.

use bytes::BytesMut;
use prost::Message;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::{
    Compare, LeaseKeepAliveResponse, PutRequest, RangeRequest, RangeResponse, ResponseHeader, TxnRequest,
};
use proto::mvccpb::KeyValue;
use tonic::Code;

use crate::gateway::json::{self, PREFIX_BYTES};
use crate::gateway::methods::Methods;

/// The request that `text` stands for at `path`.
fn request<M: Message + Default>(path: &str, text: &str) -> Result<M, tonic::Status> {
    let methods = Methods::new();
    let method = methods.find(path).expect("a method");
    let frame = json::frame(&json::parse(&method.input, text.as_bytes())?)?;
    Ok(M::decode(&frame[PREFIX_BYTES..]).expect("a message"))
}

/// What `message` is answered as at `path`.
fn response(path: &str, message: &impl Message) -> String {
    let methods = Methods::new();
    let mut text = BytesMut::new();
    json::write(&methods.find(path).expect("a method").output, message.encode_to_vec().into(), &mut text)
        .expect("a message of this method");
    String::from_utf8(text.to_vec()).expect("text")
}

#[test]
fn names_numbers_enums_and_bytes_are_read_in_either_form() {
    let expected = RangeRequest {
        key: "foo".into(),
        range_end: vec![0xff, 0xef, 0xbe].into(),
        limit: 5,
        revision: i64::MAX,
        sort_order: SortOrder::Descend.into(),
        sort_target: SortTarget::Value.into(),
        keys_only: true,
        ..Default::default()
    };
    for text in [
        r#"{"key":"Zm9v","range_end":"/+++","limit":5,"revision":"9223372036854775807","sort_order":"DESCEND","sort_target":4,"keys_only":true}"#,
        r#"{"key":"Zm9v","rangeEnd":"_---","limit":"5","revision":9223372036854775807,"sortOrder":2,"sortTarget":"VALUE","keysOnly":true,"more":{"x":[1]}} rest"#,
    ] {
        assert_eq!(request::<RangeRequest>("kv/range", text).expect(text), expected);
    }
}

#[test]
fn nothing_and_null_say_nothing() {
    for text in ["", "  \n", "null", "{}", r#"{"key":null,"limit":null}"#] {
        assert_eq!(request::<RangeRequest>("kv/range", text).expect(text), RangeRequest::default(), "{text}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for text in ["nonsense", "[]", "7", "{", r#"{"key":"!!!"}"#, r#"{"key":7}"#, r#"{"limit":"x"}"#, r#"{"limit":1.5}"#]
    {
        let status = request::<RangeRequest>("kv/range", text).expect_err(text);
        assert_eq!(status.code(), Code::InvalidArgument, "{text}");
    }
    let deep = format!("{}{}", r#"{"success":[{"request_txn":"#.repeat(200), "}]}".repeat(200));
    assert_eq!(request::<TxnRequest>("kv/txn", &deep).expect_err("too deep").code(), Code::InvalidArgument);
}

#[test]
fn one_of_many_is_said_by_its_name() {
    let txn: TxnRequest = request(
        "kv/txn",
        r#"{"compare":[{"target":"VALUE","result":"EQUAL","key":"Zm9v","value":"YmFy"}],"success":[{"requestPut":{"key":"Zm9v"}}]}"#,
    )
    .expect("a transaction");
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Value.into(),
        key: "foo".into(),
        target_union: Some(TargetUnion::Value("bar".into())),
        ..Default::default()
    };
    assert_eq!(txn.compare, [compare]);
    let put = PutRequest { key: "foo".into(), ..Default::default() };
    assert_eq!(txn.success[0].request, Some(proto::etcdserverpb::request_op::Request::RequestPut(put)));
}

#[test]
fn defaults_are_left_out_and_large_numbers_are_strings() {
    let header = ResponseHeader { cluster_id: u64::MAX, member_id: 1, revision: 2, raft_term: 0 };
    let kv = KeyValue { key: "foo".into(), mod_revision: 2, value: vec![0xff, 0xef].into(), ..Default::default() };
    let range = RangeResponse { header: Some(header), kvs: vec![kv], more: false, count: 1 };
    assert_eq!(
        response("kv/range", &range),
        r#"{"header":{"cluster_id":"18446744073709551615","member_id":"1","revision":"2"},"kvs":[{"key":"Zm9v","mod_revision":"2","value":"/+8="}],"count":"1"}"#
    );
    let kept = LeaseKeepAliveResponse { header: None, id: -7, ttl: 0 };
    assert_eq!(response("lease/keepalive", &kept), r#"{"ID":"-7"}"#);
}
