//! What etcd's command line knows and this version does not act on: accepted with a warning where nothing is lost by it,
//! refused where it would promise a protection that is not there.

use std::ffi::OsString;

use anyhow::{Result, bail};

/// Flags that take a value.
const WITH_VALUE: &[(&str, Effect)] = &[
    ("logger", Effect::None("there is one logger")),
    ("metrics", Effect::None("/metrics always has everything")),
    ("max-snapshots", Effect::None("snapshots are not files here")),
    ("max-wals", Effect::None("log segments go once a snapshot covers them")),
    ("backend-bbolt-freelist-type", Effect::None("there is no bbolt")),
    ("backend-batch-interval", Effect::None("there is no bbolt")),
    ("backend-batch-limit", Effect::None("there is no bbolt")),
    ("v2-deprecation", Effect::None("there is no v2 API")),
    ("raft-read-timeout", Effect::None("connections of peers are watched by pings")),
    ("raft-write-timeout", Effect::None("connections of peers are watched by pings")),
    ("warning-apply-duration", Effect::None("slow applies are not logged")),
    ("warning-unary-request-duration", Effect::None("slow requests are not logged")),
    ("grpc-keepalive-min-time", Effect::None("pings are answered however often they come")),
    ("client-cert-file", Effect::None("the gateway does not call over the network")),
    ("client-key-file", Effect::None("the gateway does not call over the network")),
    ("peer-client-cert-file", Effect::None("a member shows one certificate to both sides")),
    ("peer-client-key-file", Effect::None("a member shows one certificate to both sides")),
    ("bootstrap-defrag-threshold-megabytes", Effect::None("the store gives space back by itself")),
    ("compaction-batch-limit", Effect::None("compaction does not hold others up")),
    ("compaction-sleep-interval", Effect::None("compaction does not hold others up")),
    ("compact-hash-check-time", Effect::None("it is a matter of a feature gate, and there are none")),
    ("feature-gates", Effect::None("there are none: what they switch is on, or not part of this version")),
    ("downgrade-check-time", Effect::None("members do not look for downgrades")),
    ("distributed-tracing-address", Effect::None("there are no traces in this version")),
    ("distributed-tracing-service-name", Effect::None("there are no traces in this version")),
    ("distributed-tracing-instance-id", Effect::None("there are no traces in this version")),
    ("distributed-tracing-sampling-rate", Effect::None("there are no traces in this version")),
    ("log-rotation-config-json", Effect::None("files of log lines are not rotated here; logrotate does it")),
    ("discovery-fallback", Effect::None("there is no discovery")),
    ("discovery-proxy", Effect::None("there is no discovery")),
    ("discovery-srv-name", Effect::None("there is no discovery")),
    ("discovery-dial-timeout", Effect::None("there is no discovery")),
    ("discovery-request-timeout", Effect::None("there is no discovery")),
    ("discovery-keepalive-time", Effect::None("there is no discovery")),
    ("discovery-keepalive-timeout", Effect::None("there is no discovery")),
    ("discovery-cert", Effect::None("there is no discovery")),
    ("discovery-key", Effect::None("there is no discovery")),
    ("discovery-cacert", Effect::None("there is no discovery")),
    ("discovery-user", Effect::None("there is no discovery")),
    ("discovery-password", Effect::None("there is no discovery")),
    ("proxy-failure-wait", Effect::None("there is no proxy")),
    ("proxy-refresh-interval", Effect::None("there is no proxy")),
    ("proxy-dial-timeout", Effect::None("there is no proxy")),
    ("proxy-write-timeout", Effect::None("there is no proxy")),
    ("proxy-read-timeout", Effect::None("there is no proxy")),
    ("proxy", Effect::Refused("there is no proxy")),
    ("peer-cert-allowed-cn", Effect::Refused("certificates of peers are told by --peer-cert-allowed-hostname")),
    ("discovery-token", Effect::Refused("discovery is not part of this version")),
    ("discovery-endpoints", Effect::Refused("discovery is not part of this version")),
    ("wal-dir", Effect::Refused("the log is kept below --data-dir")),
    ("discovery", Effect::Refused("discovery is not part of this version")),
    ("discovery-srv", Effect::Refused("discovery is not part of this version")),
];

/// Flags that are on or off.
const SWITCHES: &[(&str, Effect)] = &[
    ("pre-vote", Effect::None("pre-vote is always on")),
    (
        "initial-election-tick-advance",
        Effect::None("a member stands for election when its leader is silent, at a start as well"),
    ),
    ("enable-v2", Effect::None("there is no v2 API")),
    ("socket-reuse-address", Effect::None("it is always on")),
    ("unsafe-no-fsync", Effect::None("every acknowledged write is synced, always")),
    ("memory-mlock", Effect::None("the store is not mapped into memory")),
    ("stop-grpc-service-on-defrag", Effect::None("defragmenting holds nobody up")),
    ("txn-mode-write-with-shared-buffer", Effect::None("there is no bbolt")),
    (
        "enable-lease-checkpoint",
        Effect::None("leases that nobody renews keep what they have left over elections, always"),
    ),
    (
        "enable-lease-checkpoint-persist",
        Effect::None("leases that nobody renews keep what they have left over elections, always"),
    ),
    ("enable-distributed-tracing", Effect::None("there are no traces in this version")),
    ("enable-log-rotation", Effect::None("files of log lines are not rotated here; logrotate does it")),
    ("peer-skip-client-san-verification", Effect::None("addresses of callers are not held against their certificates")),
    ("discovery-insecure-transport", Effect::None("there is no discovery")),
    ("discovery-insecure-skip-tls-verify", Effect::None("there is no discovery")),
    ("socket-reuse-port", Effect::Refused("no other process may listen where a member does")),
    ("compact-hash-check-enabled", Effect::Refused("members do not compare their stores in this version")),
    ("enable-pprof", Effect::None("there are no Go profiles here")),
    ("force-new-cluster", Effect::Refused("recovery into a new cluster is not part of this version")),
];

/// Values that ask for nothing: a flag that would be refused may have them.
const OFF: [&str; 6] = ["", "false", "simple", "off", "0", "0s"];

/// What etcd 3.5 calls many flags that have no prefix in 3.6.
const EXPERIMENTAL: &str = "experimental-";

#[derive(Clone, Copy, Debug)]
enum Effect {
    /// No effect, and nothing lost.
    None(&'static str),
    /// Not to be ignored silently.
    Refused(&'static str),
}

/// Arguments that are ours to parse, and what to warn about.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) warnings: Vec<String>,
}

/// Takes out of the command line what is only there for etcd, and writes Go's `-flag` as `--flag`.
///
/// # Errors
///
/// Names the flag that cannot be ignored, and why.
pub(crate) fn sort_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Sorted> {
    let mut sorted = Sorted::default();
    let mut arguments = arguments.into_iter();
    sorted.arguments.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        let Some((name, value)) = argument.to_str().and_then(flag) else {
            sorted.arguments.push(argument);
            continue;
        };
        if let Some(effect) = effect_of(WITH_VALUE, name) {
            let value = value.map(str::to_owned).or_else(|| arguments.next()?.into_string().ok());
            sorted.note(name, effect, value.as_deref().unwrap_or_default())?;
        } else if let Some(effect) = effect_of(SWITCHES, name) {
            sorted.note(name, effect, value.unwrap_or("true"))?;
        } else {
            let dashes = if name.len() == 1 { "-" } else { "--" };
            let value = value.map(|value| format!("={value}")).unwrap_or_default();
            sorted.arguments.push(format!("{dashes}{name}{value}").into());
        }
    }
    Ok(sorted)
}

/// Looks through the environment for etcd's variables that are not ours.
///
/// # Errors
///
/// Names the variable that cannot be ignored, and why.
pub(crate) fn check_environment(
    variables: impl IntoIterator<Item = (String, String)>,
    known: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let mut sorted = Sorted::default();
    for (variable, value) in variables {
        let Some(name) = variable.strip_prefix("ETCD_") else { continue };
        let name = name.to_ascii_lowercase().replace('_', "-");
        if let Some(effect) = effect_of(WITH_VALUE, &name).or_else(|| effect_of(SWITCHES, &name)) {
            sorted.note(&name, effect, &value)?;
        } else if !known(&variable) {
            sorted.warnings.push(format!("{variable} is not a variable of this version and has no effect"));
        }
    }
    Ok(sorted.warnings)
}

impl Sorted {
    fn note(&mut self, name: &str, effect: Effect, value: &str) -> Result<()> {
        match effect {
            Effect::None(why) => self.warnings.push(format!("--{name} has no effect: {why}")),
            Effect::Refused(_) if OFF.contains(&value) => {}
            Effect::Refused(why) => bail!("--{name}: {why}"),
        }
        Ok(())
    }
}

/// Whether a flag is one of etcd's that this version does not act on.
#[cfg(test)]
pub(crate) fn is_known(name: &str) -> bool {
    effect_of(WITH_VALUE, name).or_else(|| effect_of(SWITCHES, name)).is_some()
}

fn effect_of(table: &[(&str, Effect)], name: &str) -> Option<Effect> {
    let name = name.strip_prefix(EXPERIMENTAL).unwrap_or(name);
    table.iter().find(|(known, _)| *known == name).map(|(_, effect)| *effect)
}

/// Name and value of `--name=value`, `--name`, and Go's forms with one dash.
fn flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    if name.is_empty() || name.starts_with('-') {
        return None;
    }
    Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(arguments: &[&str]) -> Result<Sorted> {
        sort_arguments(std::iter::once("quorate").chain(arguments.iter().copied()).map(OsString::from))
    }

    #[test]
    fn ours_pass_through_in_either_spelling() {
        let sorted = sort(&["-name=a", "--data-dir", "d", "-h", "wal", "--", "x"]).unwrap();
        assert_eq!(sorted.arguments, ["quorate", "--name=a", "--data-dir", "d", "-h", "wal", "--", "x"]);
        assert!(sorted.warnings.is_empty());
    }

    #[test]
    fn harmless_flags_are_taken_out_with_their_values() {
        let sorted = sort(&["--logger", "zap", "--pre-vote", "--enable-v2=false", "--name", "a"]).unwrap();
        assert_eq!(sorted.arguments, ["quorate", "--name", "a"]);
        assert_eq!(sorted.warnings.len(), 3);
    }

    #[test]
    fn protection_is_never_promised_and_not_given() {
        assert_eq!(sort(&["--wal-dir", "w"]).unwrap_err().to_string(), "--wal-dir: the log is kept below --data-dir");
        assert!(sort(&["--force-new-cluster"]).is_err());
        assert!(sort(&["--force-new-cluster=false"]).is_ok());
        assert!(sort(&["--experimental-compact-hash-check-enabled"]).is_err());
        assert!(sort(&["--experimental-compact-hash-check-time", "0s", "--proxy=off"]).is_ok());
    }

    #[test]
    fn variables_are_held_to_the_same_rules() {
        let variable = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let check = |variables| check_environment(variables, |name| name == "ETCD_NAME");
        assert!(check(variable("ETCD_NAME", "a")).unwrap().is_empty());
        assert!(check(variable("PATH", "/bin")).unwrap().is_empty());
        assert_eq!(check(variable("ETCD_LOGGER", "zap")).unwrap(), ["--logger has no effect: there is one logger"]);
        assert!(check(variable("ETCD_WAL_DIR", "w")).is_err());
        assert_eq!(check(variable("ETCD_NO_SUCH", "1")).unwrap().len(), 1);
    }
}
