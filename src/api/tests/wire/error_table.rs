//! etcd's errors, as far as KV, leases, watches, the cluster and maintenance are concerned, and for each the test that provokes it.
//!
//! A text without a test fails here, and so does a test that no longer speaks of the text.

use std::fs;
use std::path::Path;

/// What clients may be told (after the prefix that all share), and the file and test in which they are.
const TABLE: &[(&str, &str, &str)] = &[
    // InvalidArgument
    ("key is not provided", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("key not found", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("value is provided", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("lease is provided", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("too many operations in txn request", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("duplicate key given in txn request", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("invalid sort option", "src/api/tests/wire/kv.rs", "refusals_have_etcds_codes_and_texts"),
    ("invalid client api version", "src/api/tests/wire/cluster.rs", "a_client_version_has_to_be_text"),
    ("given member URLs are invalid", "src/api/tests/wire/cluster.rs", "changes_of_members_are_refused_as_etcd_does"),
    (
        "request is too large",
        "src/api/tests/wire/port.rs",
        "a_message_above_the_limit_is_refused_in_the_words_of_grpc_go",
    ),
    ("wrong downgrade target version format", "src/api/tests/wire/maintenance.rs", DOWNGRADE),
    ("invalid downgrade target version", "src/api/tests/wire/maintenance.rs", DOWNGRADE),
    // OutOfRange
    ("mvcc: required revision has been compacted", "src/api/tests/wire/kv.rs", "compacted_history_is_refused"),
    ("mvcc: required revision is a future revision", "src/api/tests/wire/kv.rs", "compacted_history_is_refused"),
    ("too large lease TTL", "src/api/tests/wire/lease.rs", "refusals_have_etcds_codes_and_texts"),
    // ResourceExhausted, Unknown for the second as with etcd
    (
        "mvcc: database space exceeded",
        "src/api/tests/wire/maintenance.rs",
        "a_quota_ends_writing_and_space_brings_it_back",
    ),
    ("too many requests", "src/api/error.rs", "every_error_has_etcds_code_and_text"),
    // NotFound
    ("requested lease not found", "src/api/tests/wire/lease.rs", "refusals_have_etcds_codes_and_texts"),
    ("member not found", "src/api/tests/wire/cluster.rs", "changes_of_members_are_refused_as_etcd_does"),
    // FailedPrecondition
    ("lease already exists", "src/api/tests/wire/lease.rs", "refusals_have_etcds_codes_and_texts"),
    ("member ID already exist", "src/api/error.rs", "changes_of_the_membership_are_refused_in_etcds_words"),
    ("Peer URLs already exists", "src/api/tests/wire/cluster.rs", "changes_of_members_are_refused_as_etcd_does"),
    (
        "re-configuration failed due to not enough started members",
        "src/api/error.rs",
        "changes_of_the_membership_are_refused_in_etcds_words",
    ),
    (
        "can only promote a learner member",
        "src/api/tests/wire/cluster.rs",
        "changes_of_members_are_refused_as_etcd_does",
    ),
    (
        "can only promote a learner member which is in sync with leader",
        "src/api/tests/wire/cluster.rs",
        "changes_of_members_are_refused_as_etcd_does",
    ),
    (
        "too many learner members in cluster",
        "src/api/tests/wire/cluster.rs",
        "changes_of_members_are_refused_as_etcd_does",
    ),
    ("bad leader transferee", "src/api/tests/wire/cluster.rs", "changes_of_members_are_refused_as_etcd_does"),
    ("not leader", "src/api/error.rs", "changes_of_the_membership_are_refused_in_etcds_words"),
    ("cluster has a downgrade job in progress", "src/api/tests/wire/maintenance.rs", DOWNGRADE),
    // Unavailable
    ("no leader", "src/api/tests/wire/cluster.rs", "without_a_leader_who_wants_one_hears_so_at_once"),
    ("request timed out", "src/api/tests/wire/cluster.rs", "without_a_leader_who_wants_one_hears_so_at_once"),
    ("leader changed", "src/api/error.rs", "every_error_has_etcds_code_and_text"),
    ("server stopped", "src/api/tests/wire/port.rs", "stopping_ends_streams_and_idle_connections_at_once"),
    ("unhealthy cluster", "src/api/error.rs", "changes_of_the_membership_are_refused_in_etcds_words"),
    // DataLoss
    ("corrupt cluster", "src/api/tests/wire/maintenance.rs", "while_data_differ_nothing_is_written"),
    // Unimplemented
    ("RangeStream does not support", "src/api/tests/wire/range_stream.rs", "what_cannot_be_streamed_is_refused"),
];

const DOWNGRADE: &str = "a_downgrade_is_checked_noted_and_cancelled";

#[test]
fn every_error_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (text, file, test) in TABLE {
        let source = fs::read_to_string(root.join(file)).expect("a file of the project");
        let body = source.split_once(&format!("fn {test}()")).map(|(_, rest)| rest);
        assert!(body.is_some(), "{text}: {file} has no test {test}");
        assert!(source.contains(text), "{text}: {file} does not speak of it");
    }
}
