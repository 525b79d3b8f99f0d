//! Loading keys before, or as, a scenario.
//!
//! Keys are loaded by single puts from many clients, not by large transactions: a transaction of 100 puts is one log
//! entry of 30 KB, and etcd keeps thousands of entries in memory, which would make its memory look worse than it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::etcdserverpb::PutRequest;
use tokio::task::JoinSet;

use super::Plan;
use crate::keys::KeySpace;
use crate::sample::Failure;
use crate::servers::Server;

/// Concurrent clients.
const CLIENTS: usize = 256;

/// Puts every key of `keys`; nothing for a floor, which keeps nothing.
///
/// # Errors
/// A put fails.
pub(super) async fn load(server: &Server, plan: &Plan, keys: &KeySpace) -> Result<(), Failure> {
    if server.kind().is_floor() {
        return Ok(());
    }
    let connections = plan.connect(server, CLIENTS).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (mut kv, keys, next) = (connections.kv(client), keys.clone(), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= keys.count() {
                    return Ok::<(), Failure>(());
                }
                let (key, value) = (keys.key(number), keys.value(number));
                kv.put(PutRequest { key, value, ..PutRequest::default() }).await?;
            }
        });
    }
    while let Some(joined) = clients.join_next().await {
        joined.map_err(|error| Failure::broken(error.to_string()))??;
    }
    Ok(())
}
