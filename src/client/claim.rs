//! Claims on a name, made of ordinary keys in etcd's layout: the oldest holds the lock, or leads. Works with any etcd.
//!
//! A claim is a key `NAME/LEASE` with its session's lease; its create revision is its place in the queue and, once it holds, its fencing
//! token. Who waits follows the one key before it, so that a hand-off wakes one.

use bytes::Bytes;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{RangeRequest, ResponseHeader};
use proto::mvccpb::event::EventType;

use crate::request::{create_revision_is, delete, get, get_prefix, put, then_put, then_range, txn, watch};
use crate::{Client, Error, KeepAlive};

/// A lease that is kept alive, for claims. [`Session::end`] it, so that others need not wait until it expires.
#[derive(Debug)]
pub struct Session {
    client: Client,
    lease: i64,
    keep_alive: KeepAlive,
}

/// A claim on a name.
#[derive(Clone, Debug)]
pub struct Claim {
    client: Client,
    prefix: Bytes,
    key: Bytes,
    revision: i64,
}

impl Session {
    /// Grants a lease of at least so many seconds, and keeps it alive.
    ///
    /// # Errors
    ///
    /// As [`Client::lease_grant`] and [`Client::keep_alive`].
    pub async fn new(client: &Client, ttl_secs: i64) -> Result<Self, Error> {
        let lease = client.lease_grant(ttl_secs, 0).await?.id;
        let keep_alive = client.keep_alive(lease).await?;
        Ok(Self { client: client.clone(), lease, keep_alive })
    }

    /// Id of the lease.
    #[must_use]
    pub const fn lease(&self) -> i64 {
        self.lease
    }

    /// Waits until the session cannot be kept alive; why. Claims are lost then.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn lost(&mut self) -> Error {
        self.keep_alive.lost().await
    }

    /// Queues for a name, unless this session has done so before.
    ///
    /// # Errors
    ///
    /// As [`Client::txn`].
    pub async fn claim(&self, name: &[u8], value: impl Into<Bytes>) -> Result<Claim, Error> {
        let prefix = Bytes::from([name, b"/"].concat());
        let key = Bytes::from([name, format!("/{:x}", self.lease).as_bytes()].concat());
        let mut place = put(key.clone(), value);
        place.lease = self.lease;
        let request = txn([create_revision_is(key.clone(), 0)], [then_put(place)], [then_range(get(key.clone()))]);
        let response = self.client.txn(request).await?;
        let found = match response.responses.first().and_then(|op| op.response.as_ref()) {
            Some(Response::ResponseRange(range)) => range.kvs.first().map(|kv| kv.create_revision),
            Some(_) | None => None,
        };
        let revision = found.or(response.header.map(|header| header.revision)).unwrap_or_default();
        Ok(Claim { client: self.client.clone(), prefix, key, revision })
    }

    /// Ends the session and with it all of its claims.
    ///
    /// # Errors
    ///
    /// As [`Client::lease_revoke`]; it expires by itself then.
    pub async fn end(self) -> Result<(), Error> {
        drop(self.keep_alive);
        self.client.lease_revoke(self.lease).await.map(drop)
    }
}

impl Claim {
    /// The claim's key.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Its create revision: the fencing token, once it holds.
    #[must_use]
    pub const fn revision(&self) -> i64 {
        self.revision
    }

    /// Waits until all older claims are gone. Returns the header of the read that said so.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimLost`] when the key is gone; as [`Client::range`] and [`Client::watch`].
    ///
    /// # Cancel safety
    ///
    /// The claim stays in the queue: wait again, or [leave](Self::leave).
    pub async fn wait(&self) -> Result<ResponseHeader, Error> {
        loop {
            let before = self.client.range(self.newest_before()).await?;
            let header = before.header.unwrap_or_default();
            match before.kvs.first() {
                Some(kv) => self.wait_for_deletion(&kv.key, header.revision + 1).await?,
                None => {
                    let own = self.client.range(get(self.key.clone())).await?;
                    let holds = own.kvs.first().is_some_and(|kv| kv.create_revision == self.revision);
                    return if holds { Ok(own.header.unwrap_or_default()) } else { Err(Error::ClaimLost) };
                }
            }
        }
    }

    /// Leaves the queue, or gives back what is held.
    ///
    /// # Errors
    ///
    /// As [`Client::delete`].
    pub async fn leave(self) -> Result<(), Error> {
        self.client.delete(delete(self.key.clone())).await.map(drop)
    }

    fn newest_before(&self) -> RangeRequest {
        RangeRequest {
            max_create_revision: self.revision - 1,
            limit: 1,
            sort_order: SortOrder::Descend.into(),
            sort_target: SortTarget::Create.into(),
            ..get_prefix(self.prefix.clone())
        }
    }

    async fn wait_for_deletion(&self, key: &Bytes, revision: i64) -> Result<(), Error> {
        let mut request = watch(key.clone());
        request.start_revision = revision;
        let mut watcher = match self.client.watch(request).await {
            Ok(watcher) => watcher,
            Err(Error::Compacted { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        loop {
            let events = match watcher.next().await {
                Ok(response) => response.events,
                // What was missed will be seen in the next read.
                Err(Error::Compacted { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            if events.iter().any(|event| event.r#type() == EventType::Delete) {
                return Ok(());
            }
        }
    }
}
