//! Passwords: hashed and checked by bcrypt, which is slow by intention, on threads of its own and only so many at a time.

use bytes::Bytes;
use consensus::Execution;
use model::Rejection;
use tokio::sync::{Semaphore, TryAcquireError};

use crate::auth_config::BcryptCost;
use crate::error::{Error, Unavailable};

/// What bcrypt takes of a password.
const PASSWORD_BYTES_MAX: usize = 72;

/// Passwords that may wait for their turn; with more a client is told to come back.
const WAITING_MAX: usize = 64;

/// Hashes and checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: BcryptCost,
    execution: Execution,
    /// Those at work and those that wait.
    admitted: Semaphore,
    working: Semaphore,
}

impl Passwords {
    /// Half of the processors at most, so that guessing keeps nobody from working.
    pub(crate) fn new(cost: BcryptCost, execution: Execution) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let working = (processors / 2).max(1);
        Self { cost, execution, admitted: Semaphore::new(working + WAITING_MAX), working: Semaphore::new(working) }
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<Bytes, Error> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Error::PasswordTooLong);
        }
        let cost = self.cost.get();
        let hashed = self.work(move || bcrypt::hash(password, cost)).await?;
        hashed.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Error::Fault
        })
    }

    /// Refuses a password that is not the one of `hash`. Without a hash it takes as long and refuses as well: how long it takes
    /// must not tell who there is.
    pub(crate) async fn check(&self, password: String, hash: Option<Bytes>) -> Result<(), Error> {
        let cost = self.cost.get();
        let is_right = self
            .work(move || match hash.as_deref().map(std::str::from_utf8) {
                Some(Ok(hash)) => {
                    password.len() <= PASSWORD_BYTES_MAX && bcrypt::verify(password, hash).unwrap_or(false)
                }
                Some(Err(_)) | None => {
                    let _same_work = bcrypt::hash(password, cost);
                    false
                }
            })
            .await?;
        if is_right { Ok(()) } else { Err(Rejection::AuthFailed.into()) }
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unavailable> {
        let _admitted = self.admitted.try_acquire().map_err(|refusal| match refusal {
            TryAcquireError::NoPermits => Unavailable::TooManyRequests,
            TryAcquireError::Closed => Unavailable::Stopped,
        })?;
        let _working = self.working.acquire().await.map_err(|_closed| Unavailable::Stopped)?;
        self.execution.blocking(work).await.map_err(|_stopped| Unavailable::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        Passwords::new("4".parse().unwrap(), Execution::Threads)
    }

    #[tokio::test]
    async fn a_password_is_right_for_its_hash_alone() {
        let passwords = passwords();
        let hash = passwords.hash("secret".to_owned()).await.unwrap();
        assert_eq!(passwords.check("secret".to_owned(), Some(hash.clone())).await, Ok(()));
        let failed = Err(Rejection::AuthFailed.into());
        assert_eq!(passwords.check("Secret".to_owned(), Some(hash)).await, failed);
        assert_eq!(passwords.check("secret".to_owned(), None).await, failed);
        assert_eq!(passwords.check("secret".to_owned(), Some(Bytes::from_static(b"no hash"))).await, failed);
    }

    #[tokio::test]
    async fn an_empty_password_is_one_and_a_long_one_is_none() {
        let passwords = passwords();
        let hash = passwords.hash(String::new()).await.unwrap();
        assert_eq!(passwords.check(String::new(), Some(hash)).await, Ok(()));
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        let hash = passwords.hash(longest.clone()).await.unwrap();
        assert_eq!(passwords.hash(longest.clone() + "x").await, Err(Error::PasswordTooLong));
        assert_eq!(passwords.check(longest + "x", Some(hash)).await, Err(Rejection::AuthFailed.into()));
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let passwords = passwords();
        let all = u32::try_from(passwords.admitted.available_permits()).unwrap();
        let _taken = passwords.admitted.acquire_many(all).await.unwrap();
        let refused = Err(Unavailable::TooManyRequests.into());
        assert_eq!(passwords.hash("x".to_owned()).await, refused);
    }
}
