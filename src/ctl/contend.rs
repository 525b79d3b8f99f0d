//! `lock` and `elect`: claims in etcd's layout of keys, and what is run meanwhile.

use std::time::Duration;

use bytes::Bytes;
use client::pb::event::EventType;
use client::pb::range_request::{SortOrder, SortTarget};
use client::pb::{KeyValue, RangeRequest, RangeResponse};
use client::request::{get, get_prefix, watch_prefix};
use client::{Claim, Client, Error, Session};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::flags::{Elect, Lock};
use crate::run::Context;

/// Seconds that a candidacy lives when its process is gone without a word.
const ELECTION_TTL_SECS: i64 = 60;

/// How long giving back may take when the process is told to end.
const GOODBYE: Duration = Duration::from_secs(3);

pub(crate) async fn lock(context: &Context, flags: &Lock) -> Result<(), Exit> {
    let Some(name) = &flags.name else {
        return Err(Exit::bad_args("lock takes a lock name argument and an optional command to execute"));
    };
    let mut session = Session::new(&context.client, flags.ttl).await?;
    let claim = session.claim(name.as_bytes(), "").await?;
    let held = tokio::select! {
        result = hold(context, &claim, &flags.exec) => result,
        error = session.lost() => Err(lost(&error)),
        interrupted = interrupted() => interrupted,
    };
    give_back(claim, session).await;
    held
}

/// Waits for the lock, and does what it was wanted for.
async fn hold(context: &Context, claim: &Claim, exec: &[String]) -> Result<(), Exit> {
    let header = claim.wait().await?;
    let Some((program, arguments)) = exec.split_first() else {
        let own = context.client.range(get(claim.key().clone())).await?;
        if own.kvs.is_empty() {
            return Err(Exit::failed("lock lost on init"));
        }
        context.out.show(&own)?;
        return std::future::pending().await;
    };
    let status = Command::new(program)
        .args(arguments)
        .env("ETCD_LOCK_KEY", String::from_utf8_lossy(claim.key()).as_ref())
        .env("ETCD_LOCK_REV", header.revision.to_string())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| Exit::failed(error.to_string()))?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(()),
        Some(code) => Err(Exit::of_child(code)),
        None => Err(Exit::failed(status.to_string())),
    }
}

pub(crate) async fn elect(context: &Context, flags: &Elect) -> Result<(), Exit> {
    let (name, proposal) = match &flags.words[..] {
        [name] => (name, None),
        [name, proposal] => (name, Some(proposal)),
        _ => {
            return Err(Exit::bad_args("elect takes one election name argument and an optional proposal argument"));
        }
    };
    if flags.listen {
        return tokio::select! {
            result = observe(context, name) => result,
            interrupted = interrupted() => interrupted,
        };
    }
    let Some(proposal) = proposal else { return Err(Exit::bad_args("no election proposal given but -l not set")) };
    let mut session = Session::new(&context.client, ELECTION_TTL_SECS).await?;
    let claim = session.claim(name.as_bytes(), proposal.clone()).await?;
    let led = tokio::select! {
        result = lead(context, &claim) => result,
        error = session.lost() => Err(lost(&error)),
        interrupted = interrupted() => interrupted,
    };
    give_back(claim, session).await;
    led
}

async fn lead(context: &Context, claim: &Claim) -> Result<(), Exit> {
    claim.wait().await?;
    context.out.show(&context.client.range(get(claim.key().clone())).await?)?;
    std::future::pending().await
}

/// Prints every leader of an election, and all that it proclaims.
async fn observe(context: &Context, name: &str) -> Result<(), Exit> {
    let prefix = Bytes::from(format!("{name}/"));
    let mut shown: Option<KeyValue> = None;
    let (mut leader, mut revision) = leader(&context.client, &prefix).await?;
    loop {
        if leader.kvs.first() != shown.as_ref() {
            shown = leader.kvs.first().cloned();
            if shown.is_some() {
                context.out.show(&leader)?;
            }
        }
        let mut request = watch_prefix(prefix.clone());
        request.start_revision = revision + 1;
        let mut watcher = context.client.watch(request).await?;
        let own = shown.as_ref().map(|kv| kv.key.clone());
        // A new leader when there is none, or when this one is gone; a new value of this one.
        loop {
            let changes = match watcher.next().await {
                Ok(response) => response.events,
                Err(Error::Compacted { .. }) => break,
                Err(error) => return Err(error.into()),
            };
            let matters = |event: &client::pb::Event| {
                let key = event.kv.as_ref().map(|kv| &kv.key);
                own.is_none() && event.r#type() == EventType::Put || own.is_some() && key == own.as_ref()
            };
            if changes.iter().any(matters) {
                break;
            }
        }
        (leader, revision) = self::leader(&context.client, &prefix).await?;
    }
}

/// The oldest claim, and the revision at which it was that.
async fn leader(client: &Client, prefix: &Bytes) -> Result<(RangeResponse, i64), Exit> {
    let oldest = RangeRequest {
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..get_prefix(prefix.clone())
    };
    let response = client.range(oldest).await?;
    let revision = response.header.map_or(0, |header| header.revision);
    Ok((response, revision))
}

fn lost(error: &Error) -> Exit {
    match error {
        Error::LeaseExpired => Exit::failed("session expired"),
        error => Exit::from(error.clone()),
    }
}

/// Waits until the process is told to end.
async fn interrupted() -> Result<(), Exit> {
    let failed = |error: std::io::Error| Exit::io(&error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Leaves, so that the next one need not wait until the lease expires. If that fails, it will.
async fn give_back(claim: Claim, session: Session) {
    let goodbye = async {
        let _ = claim.leave().await;
        let _ = session.end().await;
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}
