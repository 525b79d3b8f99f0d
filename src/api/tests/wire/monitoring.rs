//! What `deploy/monitoring` asks for is served: a dashboard or an alert on a name that does not exist would stay silent for ever.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmRequest, AlarmType};

use crate::support::{MEMBER_ID, Member, put};

/// What names of metrics begin with.
const PREFIXES: [&str; 4] = ["etcd_", "grpc_server_", "process_", "os_"];

/// Metrics of the other members, which a member alone has none of; their families are there all the same.
const OF_PEERS: &str = "etcd_network_peer_";

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).collect()
}

/// A series without what the format adds to the name of its family.
fn family(name: &str) -> &str {
    ["_bucket", "_total", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

async fn page(member: &Member) -> String {
    member.http("GET /metrics HTTP/1.1").await
}

#[tokio::test]
async fn dashboard_and_alerts_name_what_is_served() {
    let member = Member::start().await;
    member.kv().await.put(put("k", "v")).await.expect("a put");
    let alarm =
        AlarmRequest { action: AlarmAction::Activate.into(), member_id: MEMBER_ID, alarm: AlarmType::Nospace.into() };
    member.maintenance().await.alarm(alarm).await.expect("an alarm");
    let page = page(&member).await;
    let series: BTreeSet<&str> =
        page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let families: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring");
    for (file, least) in [("alerts.yaml", 12), ("dashboard.json", 20)] {
        let text = fs::read_to_string(folder.join(file)).expect("a file");
        let names = names(&text);
        assert!(names.len() >= least, "{file} names too little: {names:?}");
        for name in names {
            let is_served = series.contains(name) || (name.starts_with(OF_PEERS) && families.contains(family(name)));
            assert!(is_served, "{file}: {name}\n{page}");
        }
    }
    member.stop().await;
}

#[tokio::test]
async fn what_happens_is_counted_under_etcds_names() {
    let member = Member::start().await;
    let mut kv = member.kv().await;
    kv.put(put("key", "value")).await.expect("a put");
    kv.range(proto::etcdserverpb::RangeRequest { key: "key".into(), ..Default::default() }).await.expect("a range");
    kv.txn(proto::etcdserverpb::TxnRequest::default()).await.expect("a transaction");
    member.lease().await.lease_grant(proto::etcdserverpb::LeaseGrantRequest { ttl: 30, id: 0 }).await.expect("a lease");
    let page = page(&member).await;
    let put = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put""#;
    for line in [
        "etcd_mvcc_put_total 1".to_owned(),
        "etcd_mvcc_range_total 1".to_owned(),
        "etcd_mvcc_txn_total 1".to_owned(),
        "etcd_debugging_mvcc_total_put_size_in_bytes 8".to_owned(),
        "etcd_debugging_lease_granted_total 1".to_owned(),
        r#"etcd_debugging_lease_ttl_total_bucket{le="32.0"} 1"#.to_owned(),
        "etcd_server_quota_backend_bytes 2147483648".to_owned(),
        "etcd_server_read_indexes_failed_total 0".to_owned(),
        "etcd_server_slow_apply_total".to_owned(),
        "etcd_disk_wal_fsync_duration_seconds_count".to_owned(),
        "etcd_disk_backend_commit_duration_seconds_count".to_owned(),
        r#"etcd_server_apply_duration_seconds_count{version="v3",op="Group",success="true"}"#.to_owned(),
        format!("grpc_server_handling_seconds_count{{{put}}} 1"),
    ] {
        assert!(page.lines().any(|other| other.starts_with(&line)), "{line}\n{page}");
    }
    member.stop().await;
}
