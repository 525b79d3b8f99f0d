//! `make-mirror`: a prefix of this cluster, kept up to date in another one.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use client::pb::event::EventType;
use client::pb::{RangeRequest, RequestOp};
use client::request::{delete, put, then_delete, then_put, txn};
use client::{Client, Error};
use tokio::time::{MissedTickBehavior, interval};

use crate::connect;
use crate::exit::Exit;
use crate::flags::MakeMirror;
use crate::get::prefix_range;
use crate::run::{Context, write};

/// Keys that are read at a time.
const PAGE: i64 = 1000;

/// How often it says how much it has written.
const REPORT: Duration = Duration::from_secs(30);

struct Mirror<'a> {
    source: &'a Client,
    destination: Client,
    flags: &'a MakeMirror,
    written: u64,
}

pub(crate) async fn run(context: &Context, flags: &MakeMirror) -> Result<(), Exit> {
    let destination = Client::new(connect::destination(&context.config, flags)?)?;
    if flags.no_dest_prefix && !flags.dest_prefix.is_empty() {
        return Err(Exit::bad_args(
            "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one.",
        ));
    }
    let mut mirror = Mirror { source: &context.client, destination, flags, written: 0 };
    let revision = if flags.rev > 0 { flags.rev - 1 } else { mirror.copy().await? };
    mirror.follow(revision).await
}

impl Mirror<'_> {
    /// Copies all keys as they are at one revision; which.
    async fn copy(&mut self) -> Result<i64, Exit> {
        let (mut key, range_end) = prefix_range(self.flags.prefix.clone().into());
        let mut revision = 0;
        loop {
            let request =
                RangeRequest { key, range_end: range_end.clone(), limit: PAGE, revision, ..RangeRequest::default() };
            let page = self.source.range(request).await?;
            revision = if revision == 0 { page.header.map_or(0, |header| header.revision) } else { revision };
            let puts = page.kvs.iter().map(|kv| then_put(put(self.renamed(&kv.key), kv.value.clone()))).collect();
            self.write(puts).await?;
            match page.kvs.last() {
                Some(last) if page.more => key = successor(&last.key),
                Some(_) | None => return Ok(revision),
            }
        }
    }

    /// Repeats what happens after a revision, the changes of a revision together as far as a transaction can hold them.
    async fn follow(&mut self, revision: i64) -> Result<(), Exit> {
        let (key, range_end) = prefix_range(self.flags.prefix.clone().into());
        let start_revision = revision + 1;
        let request = client::pb::WatchCreateRequest { key, range_end, start_revision, ..Default::default() };
        let mut watcher = self.source.watch(request).await?;
        let mut ticks = interval(REPORT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            let response = tokio::select! {
                response = watcher.next() => response,
                _ = ticks.tick() => {
                    write(format!("{}\n", self.written).as_bytes())?;
                    continue;
                }
            };
            let events = match response {
                Ok(response) => response.events,
                Err(error @ Error::Compacted { .. }) => return Err(error.into()),
                Err(error) => return Err(error.into()),
            };
            let mut group = Vec::new();
            let mut group_revision = 0;
            for event in events {
                let is_put = event.r#type() == EventType::Put;
                let Some(kv) = event.kv else { continue };
                if kv.mod_revision != group_revision {
                    self.write(std::mem::take(&mut group)).await?;
                    group_revision = kv.mod_revision;
                }
                let key = self.renamed(&kv.key);
                group.push(if is_put { then_put(put(key, kv.value)) } else { then_delete(delete(key)) });
            }
            self.write(group).await?;
        }
    }

    async fn write(&mut self, ops: Vec<RequestOp>) -> Result<(), Exit> {
        for part in ops.chunks(self.flags.max_txn_ops.max(1)) {
            self.destination.txn(txn([], part, [])).await?;
            self.written += part.len() as u64;
        }
        Ok(())
    }

    /// The key that a key of the source has at the destination.
    fn renamed(&self, key: &Bytes) -> Bytes {
        if !self.flags.no_dest_prefix && self.flags.dest_prefix.is_empty() {
            return key.clone();
        }
        let rest = key.strip_prefix(self.flags.prefix.as_bytes()).unwrap_or(key);
        let mut renamed = BytesMut::with_capacity(self.flags.dest_prefix.len() + rest.len());
        renamed.put_slice(self.flags.dest_prefix.as_bytes());
        renamed.put_slice(rest);
        renamed.freeze()
    }
}

/// The first key after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}
