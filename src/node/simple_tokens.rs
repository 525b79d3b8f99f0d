//! Simple tokens: random letters, and the place of the log entry that granted them. They are granted through the log, so that every
//! member knows every token; how long one lives each member decides by its own clock, from when it was last used there. They are
//! kept in memory only, as digests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{AppliedBatch, AuthChange, LogIndex, TokenDigest};
use parking_lot::RwLock;
use rand::Rng;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Letters of a token (etcd's figure): 91 bits of chance.
const LETTERS: usize = 16;

const ALPHABET: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How often tokens that ran out are looked for, when others are granted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The tokens that this member knows.
#[derive(Debug)]
pub(crate) struct SimpleTokens {
    ttl: Duration,
    /// Longest time to wait for the entry that granted a token, on a member that is behind.
    patience: Duration,
    start: Instant,
    table: RwLock<Table>,
    /// Everything up to here is in the table.
    known: AtomicU64,
    progress: Notify,
}

#[derive(Debug, Default)]
struct Table {
    tokens: HashMap<TokenDigest, Granted>,
    swept: Duration,
}

#[derive(Debug)]
struct Granted {
    user: String,
    index: LogIndex,
    /// When it was last used, in milliseconds since the start.
    used_ms: AtomicU64,
}

/// Letters for a new token.
pub(crate) fn letters() -> String {
    let mut random = rand::rng();
    (0..LETTERS).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// What stands for a token of these letters.
pub(crate) fn digest(letters: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(letters).into())
}

/// The token of these letters, granted by the entry at `index`.
pub(crate) fn token(letters: &str, index: LogIndex) -> String {
    format!("{letters}.{}", index.get())
}

impl SimpleTokens {
    /// None yet, of all that was granted up to `applied`. One lives for `ttl` from when it was last used.
    pub(crate) fn new(ttl: Duration, patience: Duration, applied: LogIndex) -> Self {
        Self {
            ttl,
            patience,
            start: Instant::now(),
            table: RwLock::default(),
            known: AtomicU64::new(applied.get()),
            progress: Notify::new(),
        }
    }

    /// Takes in what a group of entries said. Never waits for more than a look-up.
    pub(crate) fn applied(&self, batch: &AppliedBatch) {
        for change in &batch.auth {
            self.change(change);
        }
        // Whoever waits has asked to be woken before it looked.
        self.known.store(batch.applied.index.get(), Ordering::SeqCst);
        self.progress.notify_waiters();
    }

    /// Forgets all: what happened to them was not heard.
    pub(crate) fn forget(&self) {
        self.change(&AuthChange::AllTokensRevoked);
    }

    fn change(&self, change: &AuthChange) {
        let mut table = self.table.write();
        match change {
            AuthChange::TokenGranted { user, token, index } => {
                let now = self.now();
                if now >= table.swept + SWEEP_INTERVAL {
                    table.swept = now;
                    table.tokens.retain(|_, granted| self.lives(granted));
                }
                let granted = Granted { user: user.clone(), index: *index, used_ms: AtomicU64::new(millis(now)) };
                table.tokens.insert(*token, granted);
            }
            AuthChange::TokensRevoked { user } => table.tokens.retain(|_, granted| granted.user != *user),
            AuthChange::AllTokensRevoked => table.tokens.clear(),
        }
    }

    /// Whose token it is. Waits for the entry that granted it, if this member has not come so far; none if it is nobody's.
    pub(crate) async fn user(&self, token: &str) -> Option<String> {
        let (letters, index) = token.split_once('.')?;
        let index = index.parse().ok().filter(|_| letters.len() == LETTERS)?;
        if self.known.load(Ordering::SeqCst) < index {
            timeout(self.patience, self.reached(index)).await.ok()?;
        }
        let table = self.table.read();
        let granted = table.tokens.get(&digest(letters))?;
        if granted.index.get() != index || !self.lives(granted) {
            return None;
        }
        granted.used_ms.store(millis(self.now()), Ordering::Relaxed);
        Some(granted.user.clone())
    }

    async fn reached(&self, index: u64) {
        loop {
            let progress = self.progress.notified();
            if self.known.load(Ordering::SeqCst) >= index {
                return;
            }
            progress.await;
        }
    }

    fn lives(&self, granted: &Granted) -> bool {
        let used = Duration::from_millis(granted.used_ms.load(Ordering::Relaxed));
        self.now() < used.saturating_add(self.ttl)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use model::{LogId, Revision};
    use tokio::time::advance;

    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn batch(index: u64, auth: Vec<AuthChange>) -> AppliedBatch {
        AppliedBatch {
            applied: LogId { index: LogIndex::new(index), ..LogId::default() },
            revision: Revision::FIRST,
            compact_revision: Revision::ZERO,
            changes: Vec::new(),
            leases: Vec::new(),
            auth,
        }
    }

    fn granted(user: &str, letters: &str, index: u64) -> AuthChange {
        AuthChange::TokenGranted { user: user.to_owned(), token: digest(letters), index: LogIndex::new(index) }
    }

    fn tokens() -> SimpleTokens {
        SimpleTokens::new(TTL, Duration::from_secs(1), LogIndex::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_lives_from_its_last_use() {
        let tokens = tokens();
        let letters = letters();
        let token = token(&letters, LogIndex::new(7));
        tokens.applied(&batch(7, vec![granted("u", &letters, 7)]));
        for _ in 0..3 {
            advance(TTL - Duration::from_secs(1)).await;
            assert_eq!(tokens.user(&token).await.as_deref(), Some("u"));
        }
        advance(TTL).await;
        assert_eq!(tokens.user(&token).await, None);
        let other = super::letters();
        tokens.applied(&batch(8, vec![granted("v", &other, 8)]));
        assert_eq!(tokens.table.read().tokens.len(), 1, "what ran out is swept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_is_behind_waits() {
        let tokens = tokens();
        let letters = letters();
        let token = token(&letters, LogIndex::new(7));
        let (user, ()) = tokio::join!(tokens.user(&token), async {
            tokens.applied(&batch(6, Vec::new()));
            tokio::task::yield_now().await;
            tokens.applied(&batch(7, vec![granted("u", &letters, 7)]));
        });
        assert_eq!(user.as_deref(), Some("u"));
        let began = Instant::now();
        assert_eq!(tokens.user(&super::token(&letters, LogIndex::new(u64::MAX))).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(1), "but not for ever");
    }

    #[tokio::test]
    async fn only_the_whole_token_is_one() {
        let tokens = tokens();
        let letters = letters();
        tokens.applied(&batch(7, vec![granted("u", &letters, 7)]));
        for wrong in
            ["", ".", ".7", "abc.7", &letters, &format!("{letters}."), &format!("{letters}.6"), "ABCDEFGHIJKLMNOP.7"]
        {
            assert_eq!(tokens.user(wrong).await, None, "{wrong:?}");
        }
        assert_ne!(super::letters(), letters);
        assert!(letters.bytes().all(|letter| letter.is_ascii_alphabetic()));
    }

    #[tokio::test]
    async fn tokens_go_with_their_user_and_with_authentication() {
        let tokens = tokens();
        let [one, other] = [letters(), letters()];
        tokens.applied(&batch(8, vec![granted("u", &one, 7), granted("v", &other, 8)]));
        tokens.applied(&batch(9, vec![AuthChange::TokensRevoked { user: "u".to_owned() }]));
        assert_eq!(tokens.user(&token(&one, LogIndex::new(7))).await, None);
        assert!(tokens.user(&token(&other, LogIndex::new(8))).await.is_some());
        tokens.applied(&batch(10, vec![AuthChange::AllTokensRevoked]));
        assert_eq!(tokens.user(&token(&other, LogIndex::new(8))).await, None);
    }
}
