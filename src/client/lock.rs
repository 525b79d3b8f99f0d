//! The lock service: the server queues, this waits. [`crate::Claim`] does the same with keys alone, and knows when it is lost.

use bytes::Bytes;
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};

use crate::{Client, Error};

impl Client {
    /// Waits until the lock of this name is held, for as long as the lease lives. The answer's key proves the hold: compare its create
    /// revision in transactions. Dropping the future gives the place in the queue up.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn lock(&self, name: impl Into<Bytes>, lease: i64) -> Result<LockResponse, Error> {
        let mut name = name.into();
        self.namespace.key(&mut name);
        let request = LockRequest { name, lease };
        let send = |channel, request| async move { LockClient::new(channel).lock(request).await };
        let mut response = self.wait(request, send).await?;
        self.namespace.strip(&mut response.key);
        Ok(response)
    }

    /// Gives a lock back, by the key that [`Self::lock`] answered with.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn unlock(&self, key: impl Into<Bytes>) -> Result<UnlockResponse, Error> {
        let mut key = key.into();
        self.namespace.key(&mut key);
        let send = |channel, request| async move { LockClient::new(channel).unlock(request).await };
        self.write(UnlockRequest { key }, send).await
    }
}
