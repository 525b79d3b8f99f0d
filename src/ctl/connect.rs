//! From flags to a client's settings.

use std::time::Duration;

use client::{Config, Credentials, Tls};

use crate::exit::Exit;
use crate::flags::{Command, Global, MakeMirror};

/// The shortest time between tests of a connection that servers do not object to.
const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(10);

/// What a snapshot may take, or a check of performance: as long as the connection lives.
const UNHURRIED: Duration = Duration::from_secs(3600);

/// The client's settings for a command.
pub(crate) fn config(global: &Global, command: &Command) -> Result<Config, Exit> {
    let unhurried = matches!(command, Command::Snapshot(_));
    let default = Config::at(global.endpoints.iter().cloned());
    Ok(Config {
        user: credentials(global.user.as_deref(), global.password.as_deref())?,
        tls: tls(global)?,
        connect_timeout: global.dial_timeout,
        request_timeout: if unhurried { UNHURRIED } else { global.command_timeout },
        keep_alive_time: global.keepalive_time.max(KEEPALIVE_TIME_MIN),
        keep_alive_timeout: global.keepalive_timeout,
        request_bytes_max: or(global.max_request_bytes, default.request_bytes_max),
        response_bytes_max: or(global.max_recv_bytes, default.response_bytes_max),
        ..default
    })
}

/// The settings for where a mirror is made.
pub(crate) fn destination(source: &Config, flags: &MakeMirror) -> Result<Config, Exit> {
    let [endpoint] = &flags.words[..] else {
        return Err(Exit::bad_args("make-mirror takes one destination argument"));
    };
    let files = [&flags.dest_cert, &flags.dest_key, &flags.dest_cacert].map(|file| file.as_deref());
    Ok(Config {
        endpoints: endpoint.split(',').map(str::to_owned).collect(),
        user: credentials(flags.dest_user.as_deref(), flags.dest_password.as_deref())?,
        tls: tls_of(files, Tls::default())?,
        ..source.clone()
    })
}

const fn or(value: usize, default: usize) -> usize {
    if value == 0 { default } else { value }
}

fn credentials(user: Option<&str>, password: Option<&str>) -> Result<Option<Credentials>, Exit> {
    let Some(user) = user else { return Ok(None) };
    let (name, password) = match (user.split_once(':'), password) {
        (_, Some(password)) => (user, password.to_owned()),
        (Some((name, password)), None) => (name, password.to_owned()),
        (None, None) => (user, ask("Password: ")?),
    };
    if name.is_empty() {
        return Err(Exit::bad_args("user name is empty"));
    }
    Ok(Some(Credentials { name: name.to_owned(), password }))
}

/// Asks for a password on the terminal.
pub(crate) fn ask(prompt: &str) -> Result<String, Exit> {
    rpassword::prompt_password(prompt).map_err(|error| Exit::bad_args(format!("failed to ask password: {error}")))
}

fn tls(global: &Global) -> Result<Option<Tls>, Exit> {
    let files = [&global.cert, &global.key, &global.cacert].map(|file| file.as_deref());
    let is_named = global.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
    let tls = tls_of(files, Tls { skip_verify: global.insecure_skip_tls_verify, ..Tls::default() })?;
    Ok(tls.or((is_named && global.insecure_skip_tls_verify).then(|| Tls { skip_verify: true, ..Tls::default() })))
}

fn tls_of(files: [Option<&str>; 3], tls: Tls) -> Result<Option<Tls>, Exit> {
    let [cert, key, cacert] = files.map(|file| file.filter(|file| !file.is_empty()));
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(Exit::bad_args("--cert and --key belong together")),
    };
    let is_wanted = identity.is_some() || cacert.is_some();
    Ok(is_wanted.then(|| Tls { trusted_ca: cacert.map(Into::into), identity, ..tls }))
}
