//! A file of settings, in the form of etcd's: YAML with the names of flags, and those of TLS in sections of their own.
//!
//! etcd leaves flags and the environment out of account when there is a file. Here the file says what they do not, and what it
//! says in vain is warned about: a setting that has no effect should be seen.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};
use serde_json::Value;

use super::Cli;

/// Sections, and what their names lack to be those of flags.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "client-transport-security",
        &[
            ("cert-file", "cert-file"),
            ("key-file", "key-file"),
            ("client-cert-auth", "client-cert-auth"),
            ("trusted-ca-file", "trusted-ca-file"),
            ("auto-tls", "auto-tls"),
            ("crl-file", "client-crl-file"),
            ("allowed-hostname", "client-cert-allowed-hostname"),
            ("client-cert-file", "client-cert-file"),
            ("client-key-file", "client-key-file"),
        ],
    ),
    (
        "peer-transport-security",
        &[
            ("cert-file", "peer-cert-file"),
            ("key-file", "peer-key-file"),
            ("client-cert-auth", "peer-client-cert-auth"),
            ("trusted-ca-file", "peer-trusted-ca-file"),
            ("auto-tls", "peer-auto-tls"),
            ("crl-file", "peer-crl-file"),
            ("allowed-hostname", "peer-cert-allowed-hostname"),
        ],
    ),
];

/// Settings that are durations: in a file, a number is nanoseconds.
const DURATIONS: &[&str] =
    &["corrupt-check-time", "grpc-keepalive-interval", "grpc-keepalive-timeout", "watch-progress-notify-interval"];

/// What a file said in vain, as warnings.
pub(crate) type Overridden = Vec<String>;

/// `arguments`, which were parsed into `matches`, and what the file at `path` adds to them.
///
/// # Errors
///
/// The file cannot be read, or says something that no flag of that name would take.
pub(crate) fn with_file(
    arguments: Vec<OsString>,
    matches: &ArgMatches,
    path: &Path,
) -> Result<(Vec<OsString>, Overridden)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let named = settings(&text).with_context(|| path.display().to_string())?;
    let flags = Cli::command();
    let mut arguments = arguments;
    let mut overridden = Overridden::new();
    for (name, value) in named {
        let flag = flags.get_arguments().find(|flag| has_name(flag, &name));
        let said_elsewhere = flag.and_then(|flag| matches.value_source(flag.get_id().as_str()));
        match said_elsewhere {
            Some(ValueSource::CommandLine | ValueSource::EnvVariable) => {
                overridden.push(format!(
                    "{}: {name} has no effect: the command line or the environment says it",
                    path.display()
                ));
            }
            Some(_) | None => arguments.push(format!("--{name}={value}").into()),
        }
    }
    Ok((arguments, overridden))
}

fn has_name(flag: &clap::Arg, name: &str) -> bool {
    flag.get_long() == Some(name) || flag.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

/// The settings in `text`, by the names of flags. What is empty says nothing.
fn settings(text: &str) -> Result<BTreeMap<String, String>> {
    let entries: Option<BTreeMap<String, Value>> =
        serde_saphyr::from_str(text).context("it is not a mapping in YAML")?;
    let mut named = BTreeMap::new();
    for (name, value) in entries.unwrap_or_default() {
        match SECTIONS.iter().find(|(section, _)| *section == name) {
            Some((section, names)) => add_section(section, names, value, &mut named)?,
            None => add(name, &value, &mut named)?,
        }
    }
    Ok(named)
}

fn add_section(
    section: &str,
    names: &[(&str, &str)],
    value: Value,
    named: &mut BTreeMap<String, String>,
) -> Result<()> {
    let entries = match value {
        Value::Null => return Ok(()),
        Value::Object(entries) => entries,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => bail!("{section} is not a mapping"),
    };
    for (name, value) in entries {
        let flag = names.iter().find(|(known, _)| *known == name);
        let (_, flag) = flag.with_context(|| format!("there is no setting {name:?} in {section}"))?;
        add((*flag).to_owned(), &value, named)?;
    }
    Ok(())
}

fn add(name: String, value: &Value, named: &mut BTreeMap<String, String>) -> Result<()> {
    let Some(text) = text_of(value).with_context(|| format!("{name} has no value that a flag could have"))? else {
        return Ok(());
    };
    let is_nanoseconds = value.is_number() && DURATIONS.contains(&name.as_str());
    named.insert(name, if is_nanoseconds { format!("{text}ns") } else { text });
    Ok(())
}

/// A value as a flag takes it; nothing when it says nothing.
fn text_of(value: &Value) -> Result<Option<String>> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(values) => {
            let parts = values.iter().map(|value| text_of(value).map(Option::unwrap_or_default));
            parts.collect::<Result<Vec<_>>>()?.join(",")
        }
        Value::Object(_) => bail!("it is a mapping"),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_etcds_is_read_as_flags() {
        let text = "
            # what etcd's sample has
            name: 'a'
            data-dir:
            heartbeat-interval: 100
            listen-client-urls: http://localhost:2379,http://127.0.0.1:1
            cors:
            log-outputs: [stderr, /tmp/log]
            strict-reconfig-check: false
            grpc-keepalive-interval: 5000000000
            client-transport-security:
              cert-file: c.pem
              client-cert-auth: true
            peer-transport-security:
              cert-file: p.pem
        ";
        let expected = [
            ("cert-file", "c.pem"),
            ("client-cert-auth", "true"),
            ("grpc-keepalive-interval", "5000000000ns"),
            ("heartbeat-interval", "100"),
            ("listen-client-urls", "http://localhost:2379,http://127.0.0.1:1"),
            ("log-outputs", "stderr,/tmp/log"),
            ("name", "a"),
            ("peer-cert-file", "p.pem"),
            ("strict-reconfig-check", "false"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings(text).expect("a file"), BTreeMap::from(expected));
        assert_eq!(settings("# nothing\n").expect("an empty file"), BTreeMap::new());
    }

    #[test]
    fn what_is_no_setting_is_named() {
        for (text, reason) in [
            ("- a list", "not a mapping"),
            ("name: {a: 1}", "name has no value"),
            ("client-transport-security: x", "not a mapping"),
            ("client-transport-security: {ca: x}", "no setting \"ca\""),
            ("name: a\nname: b", ""),
        ] {
            let error = format!("{:#}", settings(text).expect_err(text));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
