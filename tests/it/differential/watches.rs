//! Watches over the history that cases and program left behind.

use bytes::Bytes;
use proto::etcdserverpb::WatchCreateRequest;
use proto::etcdserverpb::watch_create_request::FilterType;

/// All of them, by name, for servers that are at revision `head`.
pub(crate) fn watches(head: i64) -> Vec<(&'static str, WatchCreateRequest)> {
    let all = || WatchCreateRequest {
        key: Bytes::from_static(b"p/"),
        range_end: Bytes::from_static(b"p0"),
        start_revision: head - 150,
        ..WatchCreateRequest::default()
    };
    vec![
        ("from a revision", all()),
        ("with previous versions", WatchCreateRequest { prev_kv: true, ..all() }),
        ("of one key", WatchCreateRequest { key: "p/3".into(), range_end: Bytes::new(), ..all() }),
        ("without deletions", WatchCreateRequest { filters: vec![FilterType::Nodelete.into()], ..all() }),
        ("from now on", WatchCreateRequest { start_revision: 0, ..all() }),
        ("from what is compacted", WatchCreateRequest { start_revision: 1, ..all() }),
        ("of an empty range", WatchCreateRequest { range_end: "a".into(), ..all() }),
        (
            "of everything",
            WatchCreateRequest { key: Bytes::from_static(b"\0"), range_end: Bytes::from_static(b"\0"), ..all() },
        ),
    ]
}
