//! Flags as an operator writes them: what they come to, and how they are refused.

use node::PeerListen;

use super::*;

fn settings(flags: &[&str]) -> Result<Settings> {
    let words = std::iter::once("quorate").chain(flags.iter().copied());
    Cli::try_parse_from(words)?.server.settings()
}

fn addresses(settings: &Settings) -> Vec<String> {
    settings.listen.iter().map(|listen| listen.address.to_string()).collect()
}

fn refusal(flags: &[&str]) -> String {
    format!("{:#}", settings(flags).expect_err("flags to refuse"))
}

#[test]
fn no_flag_is_a_single_member_on_loopback() {
    let settings = settings(&[]).unwrap();
    assert_eq!(addresses(&settings), ["127.0.0.1:2379"]);
    assert_eq!(settings.client_tls, None);
    assert_eq!(settings.node.data_dir, PathBuf::from("default.quorate"));
    assert_eq!(settings.node.initial_cluster.members["default"], ["http://localhost:2380"]);
    assert_eq!(settings.node.peer_listen, PeerListen::IfFree(vec!["http://localhost:2380".to_owned()]));
    assert_eq!(settings.node.auto_compaction, AutoCompaction::Off);
    assert_eq!(settings.node.client_urls, ["http://localhost:2379"]);
}

#[test]
fn what_is_advertised_need_not_be_what_is_listened_on() {
    let flags = ["--listen-client-urls=http://127.0.0.1:1,http://[::1]:2", "--advertise-client-urls", "http://host:1"];
    let settings = settings(&flags).unwrap();
    assert_eq!(addresses(&settings), ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(settings.node.client_urls, ["http://host:1"]);
}

#[test]
fn authentication_is_set_up_in_etcds_words() {
    assert_eq!(settings(&[]).unwrap().node.auth, node::AuthConfig::default());
    let flags = ["--auth-token=jwt,sign-method=HS256,priv-key=/secret", "--auth-token-ttl=60", "--bcrypt-cost=12"];
    let auth = settings(&flags).unwrap().node.auth;
    assert!(matches!(auth.tokens, node::TokenKind::Jwt(_)));
    assert_eq!((auth.simple_ttl, auth.bcrypt_cost), (Duration::from_secs(60), "12".parse().unwrap()));
    assert!(refusal(&["--auth-token=jwt"]).contains("sign-method"));
    assert!(refusal(&["--auth-token=magic"]).contains("is no kind of token"));
    assert!(refusal(&["--auth-token=jwt,sign-method=none"]).contains("is no sign-method"));
    assert!(refusal(&["--bcrypt-cost=3"]).contains("4 to 31"));
    assert!(refusal(&["--auth-token-ttl=0"]).contains("--auth-token-ttl"));
}

#[test]
fn retention_is_hours_a_duration_or_revisions() {
    let mode = |flags: &[&str]| settings(flags).unwrap().node.auto_compaction;
    let hour = Duration::from_secs(3600);
    assert_eq!(mode(&["--auto-compaction-retention=2"]), AutoCompaction::Periodic(2 * hour));
    assert_eq!(mode(&["--auto-compaction-retention=1h30m"]), AutoCompaction::Periodic(hour + hour / 2));
    let revisions = ["--auto-compaction-mode=revision", "--auto-compaction-retention=1000"];
    assert_eq!(mode(&revisions), AutoCompaction::Revisions(1000));
}

#[test]
fn a_cluster_is_a_list_of_names_and_urls() {
    let flags =
        ["--name=a", "--initial-cluster=a=http://a:1,b=http://b:1,a=http://a:2", "--initial-cluster-state=existing"];
    let node = settings(&flags).unwrap().node;
    assert_eq!(node.initial_cluster.members["a"], ["http://a:1", "http://a:2"]);
    assert_eq!(node.initial_cluster.members["b"], ["http://b:1"]);
    assert_eq!(node.initial_cluster.state, node::ClusterState::Existing);
    assert_eq!(node.peer_listen, PeerListen::At(vec!["http://localhost:2380".to_owned()]));
    assert!(node.strict_reconfig_check);
    assert!(!settings(&["--strict-reconfig-check=false"]).unwrap().node.strict_reconfig_check);
    assert!(settings(&["--strict-reconfig-check"]).unwrap().node.strict_reconfig_check);
}

#[test]
fn a_cluster_of_one_may_be_spelled_out() {
    let flags = ["--name=a", "--initial-cluster=a=http://h:1", "--initial-advertise-peer-urls=http://h:1"];
    assert!(settings(&flags).is_ok());
}

#[test]
fn http_is_open_as_etcds_unless_it_is_told() {
    let api = |flags: &[&str]| settings(flags).unwrap().api;
    let open = api(&[]);
    assert!(open.serves_gateway);
    assert_eq!((open.hosts, open.origins), (api::Names::Any, api::Names::Any));
    let closed = api(&["--enable-grpc-gateway=false", "--cors=https://a,https://b", "--host-whitelist", "a"]);
    assert!(!closed.serves_gateway);
    assert_eq!(closed.hosts, api::Names::of(&["a".to_owned()]));
    assert_eq!(closed.origins, api::Names::of(&["https://b".to_owned(), "https://a".to_owned()]));
}

#[test]
fn sockets_of_their_own_serve_parts() {
    use api::Offer;
    let offers = |flags: &[&str]| -> Vec<_> {
        settings(flags).unwrap().listen.iter().map(|listen| (listen.address.port(), listen.offer)).collect()
    };
    assert_eq!(
        offers(&["--listen-metrics-urls=http://127.0.0.1:1"]),
        [(2379, Offer::Everything), (1, Offer::Observation)]
    );
    assert_eq!(offers(&["--listen-client-http-urls=http://127.0.0.1:2"]), [(2379, Offer::Grpc), (2, Offer::Http)]);
}

#[test]
fn certificates_are_given_or_made() {
    let https = "--listen-client-urls=https://127.0.0.1:1";
    let given = ["--cert-file=a", "--key-file=b", "--trusted-ca-file=c", "--client-cert-auth", https];
    let given = settings(&given).unwrap().client_tls.expect("TLS");
    assert_eq!((given.cert, given.key), ("a".into(), "b".into()));
    let callers = ::tls::Callers::Certified { trusted_ca: "c".into(), crl: None, allowed_hostname: None };
    assert_eq!(given.callers, callers);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = format!("--data-dir={}", folder.path().display());
    let peer = "--initial-advertise-peer-urls=https://127.0.0.1:2";
    let made = settings(&[&data_dir, "--auto-tls", https, "--peer-auto-tls", peer]).unwrap();
    assert_eq!(made.client_tls.expect("TLS").cert, folder.path().join("fixtures/client/cert.pem"));
    let of_peers = made.node.peer_tls.expect("TLS");
    assert_eq!(of_peers.cert, folder.path().join("fixtures/peer/cert.pem"));
    assert_eq!((of_peers.trusted_ca, of_peers.client_cert_auth), (None, false));
}

/// All flags of etcd 3.6, and what 3.5 calls some of them: none is unknown, whatever becomes of it.
#[test]
fn every_flag_of_etcd_is_known() {
    const ETCDS: &str = "advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention auto-tls \
        backend-batch-interval backend-batch-limit backend-bbolt-freelist-type bcrypt-cost \
        bootstrap-defrag-threshold-megabytes cert-file cipher-suites client-cert-allowed-hostname \
        client-cert-auth client-cert-file client-crl-file client-key-file compact-hash-check-time \
        compaction-batch-limit compaction-sleep-interval config-file corrupt-check-time cors data-dir discovery \
        discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints discovery-fallback \
        discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time \
        discovery-keepalive-timeout discovery-key discovery-password discovery-proxy discovery-request-timeout \
        discovery-srv discovery-srv-name discovery-token discovery-user distributed-tracing-address \
        distributed-tracing-instance-id distributed-tracing-sampling-rate distributed-tracing-service-name \
        downgrade-check-time election-timeout enable-distributed-tracing enable-grpc-gateway enable-log-rotation \
        enable-pprof enable-v2 feature-gates force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time \
        grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster \
        initial-cluster-state initial-cluster-token initial-election-tick-advance key-file \
        listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level \
        log-outputs log-rotation-config-json logger max-concurrent-streams max-learners max-request-bytes \
        max-snapshots max-txn-ops max-wals memory-mlock metrics name peer-auto-tls peer-cert-allowed-cn \
        peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth peer-client-cert-file \
        peer-client-key-file peer-crl-file peer-key-file peer-skip-client-san-verification peer-trusted-ca-file \
        pre-vote proxy quota-backend-bytes raft-read-timeout raft-write-timeout self-signed-cert-validity \
        snapshot-catchup-entries snapshot-count socket-reuse-address socket-reuse-port strict-reconfig-check \
        tls-max-version tls-min-version trusted-ca-file unsafe-no-fsync v2-deprecation wal-dir \
        warning-apply-duration warning-unary-request-duration watch-progress-notify-interval \
        experimental-bootstrap-defrag-threshold-megabytes experimental-compact-hash-check-enabled \
        experimental-compact-hash-check-time experimental-compaction-batch-limit \
        experimental-compaction-sleep-interval experimental-corrupt-check-time experimental-initial-corrupt-check \
        experimental-distributed-tracing-address experimental-enable-distributed-tracing \
        experimental-downgrade-check-time experimental-enable-lease-checkpoint \
        experimental-enable-lease-checkpoint-persist experimental-memory-mlock \
        experimental-peer-skip-client-san-verification experimental-snapshot-catchup-entries \
        experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer \
        experimental-warning-apply-duration experimental-watch-progress-notify-interval experimental-max-learners";
    let ours = Cli::command();
    for name in ETCDS.split_whitespace() {
        let is_ours = ours.get_arguments().any(|flag| {
            flag.get_long() == Some(name) || flag.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        });
        assert!(is_ours || crate::compat::is_known(name), "--{name}");
    }
}

#[test]
fn a_file_says_what_flags_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "name: from-file\nmax-txn-ops: 7\n").unwrap();
    let arguments: Vec<_> = ["quorate", "--name=from-flag"].map(std::ffi::OsString::from).into();
    let matches = Cli::command().get_matches_from(&arguments);
    let (arguments, overridden) = with_file(arguments, &matches, &file).unwrap();
    let settings = Cli::try_parse_from(arguments).unwrap().server.settings().unwrap();
    assert_eq!((settings.node.name.as_str(), settings.node.limits.txn_ops_max), ("from-flag", 7));
    assert_eq!(overridden.len(), 1, "{overridden:?}");
    assert!(overridden[0].contains("name has no effect"), "{overridden:?}");
}

#[test]
fn bounds_of_addresses_are_off_unless_they_are_said() {
    let api = |flags: &[&str]| settings(flags).unwrap().api;
    let open = api(&[]);
    assert_eq!((open.connections_per_address_max, open.requests_per_second), (usize::MAX, None));
    let bounded = api(&["--max-connections-per-address=3", "--max-requests-per-second=7"]);
    assert_eq!((bounded.connections_per_address_max, bounded.requests_per_second.unwrap().get()), (3, 7));
}

#[test]
fn refusals_name_the_flag_and_the_reason() {
    let cases: &[(&[&str], &str)] = &[
        (&["--election-timeout=400"], "--election-timeout (400 ms) must be at least five times"),
        (&["--listen-client-urls=https://127.0.0.1:1"], "need --cert-file and --key-file"),
        (&["--cert-file=a", "--key-file=b"], "and the other way round"),
        (&["--cert-file=a"], "--cert-file and --key-file go together"),
        (&["--client-cert-auth"], "TLS for clients needs"),
        (&["--cert-file=a", "--key-file=b", "--auto-tls"], "take one of them"),
        (&["--cert-file=a", "--key-file=b", "--client-cert-auth"], "--client-cert-auth needs --trusted-ca-file"),
        (&["--cert-file=a", "--key-file=b", "--client-crl-file=c"], "--client-crl-file needs"),
        (&["--cert-file=a", "--key-file=b", "--tls-min-version=TLS1.1"], "not a version of TLS"),
        (&["--cert-file=a", "--key-file=b", "--cipher-suites=RC4"], "not a cipher suite"),
        (&["--peer-auto-tls", "--peer-client-cert-auth"], "--peer-client-cert-auth needs"),
        (&["--listen-metrics-urls=127.0.0.1:1"], "begins with http:// or https://"),
        (&["--max-connections=0"], "--max-connections must be above 0"),
        (&["--grpc-keepalive-interval=soon"], "--grpc-keepalive-interval"),
        (&["--listen-client-urls=http://example.org:1"], "must name an IP address or localhost"),
        (&["--listen-client-urls=http://127.0.0.1"], "the port is missing"),
        (&["--listen-client-urls=http://127.0.0.1:70000"], "the port is not a number"),
        (&["--initial-cluster=default=a:1"], "is not an address of a peer"),
        (&["--initial-cluster=default=https://a:1"], "needs --peer-cert-file"),
        (&["--peer-cert-file=a", "--peer-key-file=b"], "--peer-trusted-ca-file"),
        (&["--peer-client-cert-auth"], "--peer-trusted-ca-file"),
        (&["--initial-cluster=nonsense"], "not of the form NAME=URL"),
        (&["--auto-compaction-retention=soon"], "not a duration"),
        (&["--auto-compaction-retention=1d"], "unknown unit"),
        (&["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"], "not a number of revisions"),
        (&["--name="], "--name must be set"),
        (&["--no-such-flag"], "unexpected argument"),
    ];
    for (flags, reason) in cases {
        let refusal = refusal(flags);
        assert!(refusal.contains(reason), "{flags:?}: {refusal}");
    }
}

#[test]
fn a_quota_is_two_gibibytes_what_is_said_or_none() {
    let quota = |flags: &[&str]| settings(flags).unwrap().node.upkeep;
    assert_eq!(quota(&[]), node::Upkeep::default());
    assert_eq!(quota(&["--quota-backend-bytes=0"]).quota_bytes, Some(2 << 30));
    assert_eq!(quota(&["--quota-backend-bytes", "1000"]).quota_bytes, Some(1000));
    assert_eq!(quota(&["--quota-backend-bytes=-1"]).quota_bytes, None);
    assert!(!quota(&["--quota-auto-disarm=false"]).frees_quota_alarm);
}

#[test]
fn members_are_compared_when_it_is_wanted() {
    let upkeep = |flags: &[&str]| settings(flags).unwrap().node.upkeep;
    assert_eq!(upkeep(&["--corrupt-check-time=0s"]).corrupt_check_interval, None);
    let set = upkeep(&["--experimental-corrupt-check-time=10m", "--initial-corrupt-check"]);
    assert_eq!((set.corrupt_check_interval, set.checks_at_start), (Some(Duration::from_secs(600)), true));
    assert!(refusal(&["--corrupt-check-time=soon"]).contains("--corrupt-check-time"));
}
