//! Auth: from the first user to the last refusal; and a table of every method against every kind of user.

use futures::future::BoxFuture;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;
use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::{Member, assert_refused, put};

const READ: i32 = 0;
const READ_WRITE: i32 = 2;

/// A request of whoever has `token`.
fn with<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.parse().expect("a token is text"));
    }
    request
}

fn add_user(name: &str) -> pb::AuthUserAddRequest {
    pb::AuthUserAddRequest { name: name.to_owned(), password: format!("{name}-password"), ..Default::default() }
}

fn grant_role(user: &str, role: &str) -> pb::AuthUserGrantRoleRequest {
    pb::AuthUserGrantRoleRequest { user: user.to_owned(), role: role.to_owned() }
}

fn add_role(name: &str) -> pb::AuthRoleAddRequest {
    pb::AuthRoleAddRequest { name: name.to_owned() }
}

fn allow(role: &str, perm_type: i32, key: &'static str, range_end: &'static str) -> pb::AuthRoleGrantPermissionRequest {
    let perm = Permission { perm_type, key: key.into(), range_end: range_end.into() };
    pb::AuthRoleGrantPermissionRequest { name: role.to_owned(), perm: Some(perm) }
}

fn get(key: &'static str, range_end: &'static str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.into(), range_end: range_end.into(), ..Default::default() }
}

async fn auth(member: &Member) -> AuthClient<Channel> {
    AuthClient::new(member.channel().await)
}

async fn log_in(member: &Member, name: &str) -> String {
    let asked = pb::AuthenticateRequest { name: name.to_owned(), password: format!("{name}-password") };
    auth(member).await.authenticate(asked).await.expect("a token").into_inner().token
}

/// Authentication is on; "writer" may read and write from "a" to "m", "reader" may read there, "none" has no role. There is a key "b" on
/// lease 9, and a key "z".
async fn secured() -> Member {
    let member = Member::start().await;
    let mut auth = auth(&member).await;
    for name in ["root", "writer", "reader", "none"] {
        auth.user_add(add_user(name)).await.expect("a user");
    }
    for (user, role) in [("root", "root"), ("writer", "rw"), ("reader", "ro")] {
        auth.role_add(add_role(role)).await.expect("a role");
        auth.user_grant_role(grant_role(user, role)).await.expect("a grant");
    }
    auth.role_grant_permission(allow("rw", READ_WRITE, "a", "m")).await.expect("a permission");
    auth.role_grant_permission(allow("ro", READ, "a", "m")).await.expect("a permission");
    let lease = pb::LeaseGrantRequest { id: 9, ttl: 600 };
    member.lease().await.lease_grant(lease).await.expect("a lease");
    let mut kv = member.kv().await;
    kv.put(pb::PutRequest { lease: 9, ..put("b", "secret") }).await.expect("a put");
    kv.put(put("z", "secret")).await.expect("a put");
    auth.auth_enable(pb::AuthEnableRequest {}).await.expect("it is on");
    member
}

type Call = fn(Channel, Option<String>) -> BoxFuture<'static, Code>;

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

macro_rules! call {
    ($client:ident, $method:ident, $message:expr) => {
        |channel, token| {
            Box::pin(async move { code($client::new(channel).$method(with(token.as_deref(), $message)).await) })
        }
    };
}

const OK: Code = Code::Ok;
const NO: Code = Code::PermissionDenied;
/// `user name is empty`, or another argument that is none.
const ARGUMENT: Code = Code::InvalidArgument;
const UNKNOWN: Code = Code::NotFound;

/// Each method with what it answers root, the writer, the reader, a user without a role, and nobody.
#[expect(clippy::too_many_lines, reason = "a table, one row a method")]
fn table() -> Vec<(&'static str, Call, [Code; 5])> {
    vec![
        ("range", call!(KvClient, range, get("b", "")), [OK, OK, OK, NO, ARGUMENT]),
        ("range of all", call!(KvClient, range, get("\0", "\0")), [OK, NO, NO, NO, ARGUMENT]),
        ("range from there on", call!(KvClient, range, get("b", "\0")), [OK, NO, NO, NO, ARGUMENT]),
        ("range stream", call!(KvClient, range_stream, get("a", "m")), [OK, OK, OK, NO, ARGUMENT]),
        ("range stream elsewhere", call!(KvClient, range_stream, get("a", "n")), [OK, NO, NO, NO, ARGUMENT]),
        ("put", call!(KvClient, put, put("c", "")), [OK, OK, NO, NO, ARGUMENT]),
        ("put elsewhere", call!(KvClient, put, put("z", "")), [OK, NO, NO, NO, ARGUMENT]),
        (
            "delete",
            call!(KvClient, delete_range, pb::DeleteRangeRequest { key: "d".into(), ..Default::default() }),
            [OK, OK, NO, NO, ARGUMENT],
        ),
        ("empty txn", call!(KvClient, txn, pb::TxnRequest::default()), [OK, OK, OK, OK, ARGUMENT]),
        ("txn that reads", call!(KvClient, txn, reading("z")), [OK, NO, NO, NO, ARGUMENT]),
        ("txn that reads inside", call!(KvClient, txn, reading_inside("z")), [OK, NO, NO, NO, ARGUMENT]),
        ("txn that may read", call!(KvClient, txn, reading("b")), [OK, OK, OK, NO, ARGUMENT]),
        (
            "compact",
            call!(KvClient, compact, pb::CompactionRequest { revision: 2, physical: false }),
            [OK, NO, NO, NO, ARGUMENT],
        ),
        ("lease grant", call!(LeaseClient, lease_grant, pb::LeaseGrantRequest { id: 0, ttl: 60 }), [OK; 5]),
        (
            "lease revoke",
            call!(LeaseClient, lease_revoke, pb::LeaseRevokeRequest { id: 77 }),
            [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, ARGUMENT],
        ),
        (
            "lease with keys",
            call!(LeaseClient, lease_time_to_live, pb::LeaseTimeToLiveRequest { id: 9, keys: true }),
            [OK, OK, OK, NO, ARGUMENT],
        ),
        (
            "lease without keys",
            call!(LeaseClient, lease_time_to_live, pb::LeaseTimeToLiveRequest { id: 9, keys: false }),
            [OK; 5],
        ),
        ("leases", call!(LeaseClient, lease_leases, pb::LeaseLeasesRequest {}), [OK, OK, OK, OK, ARGUMENT]),
        (
            "member list",
            call!(ClusterClient, member_list, pb::MemberListRequest::default()),
            [OK, OK, OK, OK, ARGUMENT],
        ),
        (
            "member add",
            call!(ClusterClient, member_add, pb::MemberAddRequest::default()),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        (
            "member remove",
            call!(ClusterClient, member_remove, pb::MemberRemoveRequest { id: 99 }),
            [UNKNOWN, NO, NO, NO, ARGUMENT],
        ),
        (
            "member promote",
            call!(ClusterClient, member_promote, pb::MemberPromoteRequest { id: 99 }),
            [UNKNOWN, NO, NO, NO, ARGUMENT],
        ),
        (
            "member update",
            call!(ClusterClient, member_update, pb::MemberUpdateRequest::default()),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        ("status", call!(MaintenanceClient, status, pb::StatusRequest {}), [OK, OK, OK, OK, ARGUMENT]),
        ("alarms", call!(MaintenanceClient, alarm, pb::AlarmRequest::default()), [OK, OK, OK, OK, ARGUMENT]),
        (
            "alarm off",
            call!(MaintenanceClient, alarm, pb::AlarmRequest { action: 2, member_id: 0, alarm: 1 }),
            [OK, NO, NO, NO, ARGUMENT],
        ),
        ("defragment", call!(MaintenanceClient, defragment, pb::DefragmentRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        ("hash", call!(MaintenanceClient, hash, pb::HashRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        ("hash kv", call!(MaintenanceClient, hash_kv, pb::HashKvRequest { revision: 0 }), [OK, NO, NO, NO, ARGUMENT]),
        ("snapshot", call!(MaintenanceClient, snapshot, pb::SnapshotRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        (
            "move leader",
            call!(MaintenanceClient, move_leader, pb::MoveLeaderRequest { target_id: 99 }),
            [Code::FailedPrecondition, NO, NO, NO, ARGUMENT],
        ),
        (
            "downgrade",
            call!(MaintenanceClient, downgrade, pb::DowngradeRequest::default()),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        ("auth status", call!(AuthClient, auth_status, pb::AuthStatusRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        ("auth enable", call!(AuthClient, auth_enable, pb::AuthEnableRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        ("user add", call!(AuthClient, user_add, add_user("")), [ARGUMENT, NO, NO, NO, ARGUMENT]),
        (
            "user get",
            call!(AuthClient, user_get, pb::AuthUserGetRequest { name: "reader".to_owned() }),
            [OK, NO, OK, NO, ARGUMENT],
        ),
        ("user list", call!(AuthClient, user_list, pb::AuthUserListRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        (
            "user delete",
            call!(AuthClient, user_delete, pb::AuthUserDeleteRequest { name: "root".to_owned() }),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        (
            "user password",
            call!(
                AuthClient,
                user_change_password,
                pb::AuthUserChangePasswordRequest { name: "x".to_owned(), ..Default::default() }
            ),
            [Code::FailedPrecondition, NO, NO, NO, ARGUMENT],
        ),
        ("user grant", call!(AuthClient, user_grant_role, grant_role("root", "root")), [OK, NO, NO, NO, ARGUMENT]),
        (
            "user revoke",
            call!(
                AuthClient,
                user_revoke_role,
                pb::AuthUserRevokeRoleRequest { name: "root".to_owned(), role: "root".to_owned() }
            ),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        ("role add", call!(AuthClient, role_add, add_role("")), [ARGUMENT, NO, NO, NO, ARGUMENT]),
        (
            "role get",
            call!(AuthClient, role_get, pb::AuthRoleGetRequest { role: "ro".to_owned() }),
            [OK, NO, OK, NO, ARGUMENT],
        ),
        ("role list", call!(AuthClient, role_list, pb::AuthRoleListRequest {}), [OK, NO, NO, NO, ARGUMENT]),
        (
            "role delete",
            call!(AuthClient, role_delete, pb::AuthRoleDeleteRequest { role: "root".to_owned() }),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        (
            "role grant",
            call!(
                AuthClient,
                role_grant_permission,
                pb::AuthRoleGrantPermissionRequest { name: "ro".to_owned(), perm: None }
            ),
            [ARGUMENT, NO, NO, NO, ARGUMENT],
        ),
        (
            "role revoke",
            call!(
                AuthClient,
                role_revoke_permission,
                pb::AuthRoleRevokePermissionRequest { role: "ro".to_owned(), ..Default::default() }
            ),
            [Code::FailedPrecondition, NO, NO, NO, ARGUMENT],
        ),
    ]
}

fn reading(key: &'static str) -> pb::TxnRequest {
    let range = pb::request_op::Request::RequestRange(get(key, ""));
    pb::TxnRequest { failure: vec![pb::RequestOp { request: Some(range) }], ..Default::default() }
}

fn reading_inside(key: &'static str) -> pb::TxnRequest {
    let inner = pb::request_op::Request::RequestTxn(reading(key));
    pb::TxnRequest { failure: vec![pb::RequestOp { request: Some(inner) }], ..Default::default() }
}

#[tokio::test]
async fn every_method_answers_every_kind_of_user() {
    let member = secured().await;
    let channel = member.channel().await;
    let mut tokens = Vec::new();
    for name in ["root", "writer", "reader", "none"] {
        tokens.push(Some(log_in(&member, name).await));
    }
    tokens.push(None);
    for (name, call, expected) in table() {
        let mut answered = Vec::new();
        for token in &tokens {
            answered.push(call(channel.clone(), token.clone()).await);
        }
        assert_eq!(answered, expected, "{name}");
    }
    for (name, call, _) in table().into_iter().filter(|(name, ..)| *name != "lease grant") {
        let answered = call(channel.clone(), Some("no token".to_owned())).await;
        assert_eq!(answered, Code::Unauthenticated, "{name}");
    }
    member.stop().await;
}

#[tokio::test]
async fn a_password_gives_a_token_and_a_wrong_one_tells_nothing() {
    let member = secured().await;
    let mut auth = auth(&member).await;
    let asked =
        |name: &str, password: &str| pb::AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
    let failed = "etcdserver: authentication failed, invalid user ID or password";
    for (name, password) in [("reader", "wrong"), ("nobody", "wrong"), ("", ""), ("reader", "")] {
        assert_refused(auth.authenticate(asked(name, password)).await, Code::InvalidArgument, failed);
    }
    let root = log_in(&member, "root").await;
    let options = Some(UserAddOptions { no_password: true });
    let certified = pb::AuthUserAddRequest { options, ..add_user("certified") };
    auth.user_add(with(Some(&root), certified)).await.expect("a user");
    let unwanted = "auth: authentication failed, password was given for no password user";
    assert_refused(auth.authenticate(asked("certified", "x")).await, Code::Unknown, unwanted);
    let long = pb::AuthUserAddRequest { password: "x".repeat(73), ..add_user("long") };
    let too_long = "bcrypt: password length exceeds 72 bytes";
    assert_refused(auth.user_add(with(Some(&root), long)).await, Code::Unknown, too_long);

    let token = log_in(&member, "reader").await;
    let (letters, index) = token.split_once('.').expect("letters and an index");
    assert!(letters.len() == 16 && index.parse::<u64>().is_ok(), "{token}");
    let mut kv = member.kv().await;
    for (name, value) in
        [("token", token.clone()), ("authorization", token.clone()), ("authorization", format!("Bearer {token}"))]
    {
        let mut request = Request::new(get("b", ""));
        request.metadata_mut().insert(name, value.parse().expect("text"));
        assert_eq!(kv.range(request).await.expect("a range").into_inner().count, 1, "{name}");
    }
    let password = "other".to_owned();
    let change = pb::AuthUserChangePasswordRequest { name: "reader".to_owned(), password, ..Default::default() };
    auth.user_change_password(with(Some(&root), change)).await.expect("another password");
    let invalid = "etcdserver: invalid auth token";
    assert_refused(kv.range(with(Some(&token), get("b", ""))).await, Code::Unauthenticated, invalid);
    assert_refused(auth.authenticate(asked("reader", "reader-password")).await, Code::InvalidArgument, failed);
    auth.authenticate(asked("reader", "other")).await.expect("a token");

    auth.auth_disable(with(Some(&root), pb::AuthDisableRequest {})).await.expect("it is off");
    kv.range(with(Some(&token), get("z", ""))).await.expect("everybody may do everything");
    let off = "etcdserver: authentication is not enabled";
    assert_refused(auth.authenticate(asked("reader", "other")).await, Code::FailedPrecondition, off);
    member.stop().await;
}

#[tokio::test]
async fn roles_and_permissions_are_told_as_they_were_granted() {
    let member = secured().await;
    let mut auth = auth(&member).await;
    let root = log_in(&member, "root").await;
    let status = auth.auth_status(with(Some(&root), pb::AuthStatusRequest {})).await.expect("a status").into_inner();
    assert_eq!(
        (status.enabled, status.auth_revision),
        (true, 13),
        "four users, three roles, three grants, two permissions"
    );
    let users = auth.user_list(with(Some(&root), pb::AuthUserListRequest {})).await.expect("users").into_inner().users;
    assert_eq!(users, ["none", "reader", "root", "writer"]);
    let role = |name: &str| pb::AuthRoleGetRequest { role: name.to_owned() };
    let all = Permission { perm_type: READ_WRITE, key: "".into(), range_end: "\0".into() };
    let perm = auth.role_get(with(Some(&root), role("root"))).await.expect("a role").into_inner().perm;
    assert_eq!(perm, [all]);
    auth.role_grant_permission(with(Some(&root), allow("ro", READ, "0", ""))).await.expect("a permission");
    auth.role_grant_permission(with(Some(&root), allow("ro", READ_WRITE, "a", "m"))).await.expect("a permission");
    let perm = auth.role_get(with(Some(&root), role("ro"))).await.expect("a role").into_inner().perm;
    let single = Permission { perm_type: READ, key: "0".into(), range_end: "".into() };
    assert_eq!(perm, [single, Permission { perm_type: READ_WRITE, key: "a".into(), range_end: "m".into() }]);
    member.stop().await;
}

#[tokio::test]
async fn who_may_not_watch_is_told_as_etcd_tells() {
    let member = secured().await;
    let reader = log_in(&member, "reader").await;
    let watch = |token: Option<String>, key: &'static str, range_end: &'static str| {
        let create = pb::WatchCreateRequest { key: key.into(), range_end: range_end.into(), ..Default::default() };
        let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let member = &member;
        async move {
            let requests = tokio_stream::StreamExt::chain(tokio_stream::iter([request]), tokio_stream::pending());
            let mut request = Request::new(requests);
            if let Some(token) = token {
                request.metadata_mut().insert("token", token.parse().expect("text"));
            }
            let mut watch = WatchClient::new(member.channel().await);
            let mut responses = watch.watch(request).await.expect("a stream").into_inner();
            responses.message().await.expect("a response").expect("one")
        }
    };
    let allowed = watch(Some(reader.clone()), "a", "m").await;
    assert!(allowed.created && !allowed.canceled);
    let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    // GHSA-xg4h-6gfc-h4m8: a key is not all keys after it.
    for (token, key, range_end, reason) in [
        (Some(reader.clone()), "b", "\0", denied),
        (Some(reader.clone()), "a", "n", denied),
        (Some(reader), "z", "", denied),
        (
            Some("no token".to_owned()),
            "b",
            "",
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
        (None, "b", "", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
    ] {
        let refused = watch(token, key, range_end).await;
        assert!(refused.created && refused.canceled, "{key}");
        assert_eq!((refused.watch_id, refused.cancel_reason.as_str()), (-1, reason), "{key}");
    }
    member.stop().await;
}

#[tokio::test]
async fn over_http_nobody_is_401_and_the_wrong_one_403() {
    let member = secured().await;
    let token = log_in(&member, "reader").await;
    let ask = |line: &str, token: &str| {
        let authorization = if token.is_empty() { String::new() } else { format!("\r\nauthorization: {token}") };
        let request = format!("{line} HTTP/1.1{authorization}");
        let member = &member;
        async move { member.http(&request).await }
    };
    let nobody = ask("GET /v1/kv/b", "").await;
    assert!(
        nobody.starts_with("HTTP/1.1 401 ") && nobody.to_lowercase().contains("www-authenticate: bearer"),
        "{nobody}"
    );
    assert!(nobody.contains("/problems/unauthenticated"), "{nobody}");
    assert!(ask("GET /v1/kv/b", "Bearer wrong").await.starts_with("HTTP/1.1 401 "));
    let bearer = format!("Bearer {token}");
    assert!(ask("GET /v1/kv/b", &bearer).await.ends_with("secret"));
    for line in ["GET /v1/kv/z", "DELETE /v1/kv/b", "GET /v1/kv?prefix=", "GET /v1/watch?prefix=", "GET /v1/locks/a"] {
        let answer = ask(line, &bearer).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("/problems/permission-denied"),
            "{line}: {answer}"
        );
    }
    for line in ["GET /v1/sessions", "POST /v1/sessions", "GET /v1/locks/a", "GET /v1/watch?key=b", "PUT /v1/kv/b"] {
        assert!(ask(line, "").await.starts_with("HTTP/1.1 401 "), "{line}");
    }
    for line in [
        "GET /health",
        "GET /readyz",
        "GET /livez",
        "GET /version",
        "GET /metrics",
        "GET /openapi.json",
        "GET /docs/",
        "GET /",
    ] {
        assert!(ask(line, "").await.starts_with("HTTP/1.1 200 "), "{line}");
    }
    member.stop().await;
}
