//! Endpoints as they are written, namespaces, and the order in which members are asked.

use bytes::Bytes;

use crate::balance::Balance;
use crate::namespace::Namespace;
use crate::request::{create_revision_is, delete_prefix, get, get_prefix, prefix_end, put, then_delete, then_put, txn};
use crate::url::{Scheme, Url};
use crate::{Config, Error};

fn parse(text: &str) -> Result<(String, u16, bool), Error> {
    Url::parse(text, Scheme::Http).map(|url| (url.host, url.port, url.is_tls))
}

#[test]
fn endpoints_are_taken_as_etcd_tools_write_them() {
    assert_eq!(parse("127.0.0.1:2379"), Ok(("127.0.0.1".to_owned(), 2379, false)));
    assert_eq!(parse("http://a.example:1"), Ok(("a.example".to_owned(), 1, false)));
    assert_eq!(parse("https://a.example:1/"), Ok(("a.example".to_owned(), 1, true)));
    assert_eq!(parse("[::1]:2379"), Ok(("::1".to_owned(), 2379, false)));
    assert!(Url::parse("a:1", Scheme::Https).unwrap().is_tls);
    assert_eq!(Url::parse("[::1]:1", Scheme::Https).unwrap().origin().unwrap(), "https://[::1]:1");
    for wrong in ["", "a", "a:b", ":1", "ftp://a:1", "http://a:1/path", "a:70000", "a b:1"] {
        assert!(matches!(parse(wrong), Err(Error::Config(_))), "{wrong:?}");
    }
}

#[test]
fn a_prefix_ends_before_the_next_one() {
    assert_eq!(prefix_end(b"a"), "b");
    assert_eq!(prefix_end(b"a\xff"), "b");
    assert_eq!(prefix_end(b"\xff\xff"), "\0");
    assert_eq!(prefix_end(b""), "\0");
    assert_eq!((get_prefix("").key, get_prefix("").range_end), (Bytes::from("\0"), Bytes::from("\0")));
}

#[test]
fn a_namespace_is_put_before_every_key_and_taken_off_again() {
    let namespace = Namespace::new(Bytes::from("ns/"));
    let range = |mut request: crate::pb::RangeRequest| {
        namespace.range(&mut request.key, &mut request.range_end);
        (request.key, request.range_end)
    };
    assert_eq!(range(get("a")), (Bytes::from("ns/a"), Bytes::new()));
    assert_eq!(range(get_prefix("a")), (Bytes::from("ns/a"), Bytes::from("ns/b")));
    assert_eq!(range(get_prefix("")), (Bytes::from("ns/\0"), Bytes::from("ns0")), "no key of a neighbour");
    assert_eq!(range(get("")), (Bytes::new(), Bytes::new()), "the server refuses it");

    let mut request = txn([create_revision_is("a", 0)], [then_put(put("a", "1"))], [then_delete(delete_prefix("b"))]);
    namespace.txn(&mut request);
    assert_eq!(request.compare[0].key, "ns/a");
    let expected =
        txn([create_revision_is("ns/a", 0)], [then_put(put("ns/a", "1"))], [then_delete(delete_prefix("ns/b"))]);
    assert_eq!(request, expected);

    let mut key = Bytes::from("ns/a");
    namespace.strip(&mut key);
    assert_eq!(key, "a");
}

#[tokio::test]
async fn a_member_that_failed_is_asked_last() {
    let balance = Balance::new(&Config::at(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"])).unwrap();
    let names = |count: usize| (0..count).map(|_| format!("{:?}", balance.choose())).collect::<Vec<_>>();
    let round = names(3);
    assert_eq!(names(3), round, "one after the other");
    let failed = balance.choose();
    balance.avoid(&failed);
    let failed = format!("{failed:?}");
    assert!(!names(6).contains(&failed));
    balance.avoid(&balance.choose());
    balance.avoid(&balance.choose());
    assert!(names(1).contains(&failed), "the one whose failure is oldest, when all have failed");
}
