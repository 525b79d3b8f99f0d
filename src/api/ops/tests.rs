//! Health, probes and versions as monitoring asks for them.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::{Alarm, AlarmCause, AlarmKind, MemberId};
use node::{Error, Unavailable};
use tower::ServiceExt;

use super::{Consistency, Member, router};
use crate::metrics::Metrics;

/// A member in whatever condition a test wants.
#[derive(Clone, Copy)]
struct Fake {
    has_leader: bool,
    can_read: bool,
    can_agree: bool,
    is_learner: bool,
    alarm: Option<AlarmKind>,
}

const WELL: Fake = Fake { has_leader: true, can_read: true, can_agree: true, is_learner: false, alarm: None };
const CUT_OFF: Fake = Fake { has_leader: false, can_agree: false, ..WELL };
const SLOW: Fake = Fake { can_agree: false, ..WELL };
const BROKEN: Fake = Fake { can_read: false, can_agree: false, ..WELL };

const FULL: Fake = Fake { alarm: Some(AlarmKind::NoSpace), ..WELL };
const CORRUPT: Fake = Fake { alarm: Some(AlarmKind::Corrupt), ..WELL };

const LEARNER: Fake = Fake { is_learner: true, ..WELL };

impl Member for Fake {
    fn has_leader(&self) -> bool {
        self.has_leader
    }

    fn is_learner(&self) -> bool {
        self.is_learner
    }

    fn alarms(&self) -> Result<Vec<Alarm>, Error> {
        let raised = |kind| Alarm { kind, member: MemberId::new(1), cause: AlarmCause::Request };
        Ok(self.alarm.map(raised).into_iter().collect())
    }

    async fn try_read(&self, consistency: Consistency) -> Result<(), Error> {
        let works = match consistency {
            Consistency::Serializable => self.can_read,
            Consistency::Linearizable => self.can_agree,
        };
        if works { Ok(()) } else { Err(Unavailable::Timeout.into()) }
    }
}

/// Status, `Allow`, content type and body of the answer.
async fn ask(member: Fake, method: &str, uri: &str) -> (StatusCode, String, String, String) {
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).expect("a request");
    let router = router(member, Arc::new(Metrics::without_member()));
    let response = router.oneshot(request).await.expect("routes do not fail");
    let header = |name| response.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    let (status, allow, content_type) = (response.status(), header("allow"), header("content-type"));
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, allow, content_type, String::from_utf8(body.into()).expect("text"))
}

async fn get(member: Fake, uri: &str) -> (u16, String) {
    let (status, _, _, body) = ask(member, "GET", uri).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn health_is_one_word_and_a_reason() {
    let well = (200, r#"{"health":"true","reason":""}"#.to_owned());
    let no_leader = (503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n".to_owned());
    let alarm = |kind| (503, format!("{{\"health\":\"false\",\"reason\":\"ALARM {kind}\"}}\n"));
    let (full, corrupt) = (alarm("NOSPACE"), alarm("CORRUPT"));
    let error = "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n";
    let unreadable = (503, error.to_owned());
    for (member, uri, expected) in [
        (WELL, "/health", &well),
        (WELL, "/health?exclude=NOSPACE&exclude=CORRUPT", &well),
        (FULL, "/health", &full),
        (FULL, "/health?exclude=CORRUPT", &full),
        (FULL, "/health?exclude=NOSPACE", &well),
        (CORRUPT, "/health?serializable=true&exclude=NOSPACE", &corrupt),
        (CUT_OFF, "/health", &no_leader),
        (CUT_OFF, "/health?serializable=false", &no_leader),
        (CUT_OFF, "/health?serializable=true", &well),
        (SLOW, "/health", &unreadable),
        (BROKEN, "/health?serializable=true", &unreadable),
    ] {
        assert_eq!(&get(member, uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn probes_say_ok_or_what_failed() {
    let failed = "[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: RANGE ERROR: etcdserver: \
                  request timed out\n[+]non_learner ok\n";
    for (member, uri, status, body) in [
        (WELL, "/livez", 200, "ok\n"),
        (CUT_OFF, "/livez", 200, "ok\n"),
        (BROKEN, "/livez", 503, "[-]serializable_read failed: RANGE ERROR: etcdserver: request timed out\n"),
        (WELL, "/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
        (WELL, "/readyz", 200, "ok\n"),
        (CUT_OFF, "/readyz", 503, failed),
        (CUT_OFF, "/readyz?exclude=linearizable_read", 200, "ok\n"),
        (WELL, "/readyz?exclude=nonsense", 200, "ok\n"),
        (
            WELL,
            "/readyz?verbose&exclude=linearizable_read",
            200,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n",
        ),
        (CUT_OFF, "/readyz/serializable_read", 200, "ok\n"),
        (FULL, "/readyz", 200, "ok\n"),
        (CORRUPT, "/readyz/data_corruption", 503, "[-]data_corruption failed: alarm activated: CORRUPT\n"),
        (CORRUPT, "/livez", 200, "ok\n"),
        (LEARNER, "/livez", 200, "ok\n"),
        (LEARNER, "/readyz/non_learner", 503, "[-]non_learner failed: the member is a learner\n"),
        (WELL, "/readyz/non_learner?verbose=true", 200, "[+]non_learner ok\nok\n"),
        (WELL, "/livez/linearizable_read", 404, "404 page not found\n"),
    ] {
        assert_eq!(get(member, uri).await, (status, body.to_owned()), "{uri}");
    }
}

#[tokio::test]
async fn version_names_the_etcd_that_is_offered() {
    let (status, _, content_type, body) = ask(WELL, "GET", "/version").await;
    assert_eq!((status, content_type.as_str()), (StatusCode::OK, "application/json"));
    assert_eq!(body, r#"{"etcdserver":"3.6.14","etcdcluster":"3.6.0","storage":"3.6.0"}"#);
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let metrics = Arc::new(Metrics::without_member());
    let router = router(WELL, metrics);
    for _ in 0..2 {
        let request = Request::get("/health").body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("an answer");
    }
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let page = router.oneshot(request).await.expect("an answer").into_body().collect().await.expect("a page");
    let page = String::from_utf8(page.to_bytes().into()).expect("text");
    for line in [
        "etcd_server_health_success 2",
        "etcd_server_health_failures 0",
        "etcd_network_client_grpc_received_bytes_total 0",
        "etcd_server_version{server_version=\"3.6.14\"} 1",
        "process_start_time_seconds ",
    ] {
        assert!(page.lines().any(|other| other.starts_with(line)), "{line}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[tokio::test]
async fn only_get_is_allowed() {
    for uri in ["/health", "/livez", "/livez/serializable_read", "/readyz", "/version", "/metrics"] {
        for method in ["HEAD", "POST", "PUT", "DELETE"] {
            let (status, allow, _, _) = ask(WELL, method, uri).await;
            assert_eq!((status, allow.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "GET"), "{method} {uri}");
        }
    }
}
