//! Locks and an election over REST: sessions that queue for a lock, or to lead, write what that guards under their token, and give it
//! up, or fall silent and must take it for lost.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::history::{Hold, Instant, Op, Request, Revision, Test};
use crate::dice::Dice;

use super::super::client::{Client, Habit};
use super::super::http::{self, Reply};
use super::{Recorded, Shared};

/// Under which all claims and candidacies are keys.
pub(crate) const PREFIXES: [&str; 2] = ["/default/locks/", "/default/elections/"];

/// Under which each session is a key.
pub(crate) const SESSIONS: &str = "/default/_sessions/";

/// What clients take turns with: locks, and one election.
pub(crate) const GUARDED: [&str; 4] = ["red", "green", "blue", CROWN];

/// The one that is an election. Its candidates are claims, its terms are tokens.
const CROWN: &str = "crown";

/// What the keys of all who want it begin with.
fn prefix_of(lock: &str) -> String {
    format!("{}{lock}/", PREFIXES[usize::from(lock == CROWN)])
}

/// Where a session asks for it.
fn path_of(lock: &str, session: &str) -> String {
    if lock == CROWN {
        format!("/v1/elections/{lock}/candidates/{session}")
    } else {
        format!("/v1/locks/{lock}/claims/{session}")
    }
}

/// How long a call over REST may take, beyond what it is told to wait.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What only a holder of a lock writes.
pub(crate) fn guarded(lock: &str) -> String {
    format!("guarded/{lock}")
}

/// One client, with the session that it has open.
struct Locker {
    shared: Arc<Shared>,
    client: Client,
    recorded: Recorded,
    dice: Dice,
}

/// A session as its client sees it.
struct Session {
    id: String,
    /// How long after its last answered sign of life was sent the client must take it for lost.
    lasts: Instant,
    until: Instant,
}

pub(super) async fn take_turns(shared: Arc<Shared>, number: usize, seed: u64) -> Recorded {
    let dice = Dice(seed.wrapping_add(200 + number as u64));
    let client = Client::new(&shared.urls, number, Habit::Roams, shared.clock);
    let mut locker = Locker { shared: shared.clone(), client, recorded: Recorded::default(), dice };
    while !shared.is_over() {
        if locker.turn().await.is_none() {
            shared.pause(50).await;
        }
    }
    locker.recorded
}

impl Locker {
    /// A session that takes one lock once; none if it came to nothing.
    async fn turn(&mut self) -> Option<()> {
        let mut session = self.open().await?;
        let lock = *self.dice.pick(&GUARDED);
        let path = path_of(lock, &session.id);
        let (token, revision) = self.acquire(&path, &mut session).await?;
        let from = self.shared.clock.now();
        self.write_guarded(lock, &session.id, token).await;
        let falls_silent = self.dice.roll(8) == 0;
        let until = if falls_silent { session.until } else { session.until.min(self.release(&path, token).await) };
        let prefix = prefix_of(lock);
        let key = format!("{prefix}{}", session.id);
        self.recorded.holds.push(Hold { prefix, key, token, from, revision, until: until.max(from) });
        Some(())
    }

    async fn open(&mut self) -> Option<Session> {
        let called = self.shared.clock.now();
        let reply = self.call("POST", "/v1/sessions", "", r#"{"ttl":"3s"}"#).await?;
        let id = reply.body["id"].as_str()?.to_owned();
        let lasts = reply.body["client_deadline_ms"].as_u64()? * 1000;
        Some(Session { id, lasts, until: called + lasts })
    }

    /// Waits in line until the lock is held: token, and the revision at which that was said.
    async fn acquire(&mut self, path: &str, session: &mut Session) -> Option<(Revision, Revision)> {
        while !self.shared.is_over() {
            match self.call("PUT", path, "", r#"{"wait":"500ms"}"#).await {
                Some(Reply { status: 200 | 201, body }) => {
                    return Some((body["token"].as_i64()?, body["revision"].as_i64()?));
                }
                Some(Reply { status: 202, .. }) => {}
                Some(_) => return None,
                // Whether it was done is unknown. Asking again, at another member, finds the place or makes it.
                None => {}
            }
            let called = self.shared.clock.now();
            let alive = format!("/v1/sessions/{}/keepalive", session.id);
            match self.call("POST", &alive, "", "").await {
                Some(Reply { status: 200, .. }) => session.until = called + session.lasts,
                Some(Reply { status: 404, .. }) => return None,
                Some(_) | None => self.shared.pause(50).await,
            }
        }
        None
    }

    /// Writes as a resource would that knows tokens: only while the claim is there.
    async fn write_guarded(&mut self, lock: &str, session: &str, token: Revision) {
        let claim = prefix_of(lock) + session;
        for _ in 0..=self.dice.roll(3) {
            let value = format!("{token}:{}", self.shared.value());
            let request = Request {
                tests: vec![Test::Created(claim.clone(), token)],
                ..Request::one(Op::Put { key: guarded(lock), value, lease: 0 })
            };
            let record = self.client.ask(request).await;
            self.recorded.records.push(record);
            self.shared.pause(self.dice.roll(30)).await;
        }
    }

    /// Gives the lock up, at whichever member hears it; returns when that was first said.
    async fn release(&mut self, path: &str, token: Revision) -> Instant {
        let asked = self.shared.clock.now();
        for _ in 0..self.shared.urls.len() {
            if self.call("DELETE", path, &format!("If-Match: \"{token}\"\r\n"), "").await.is_some() {
                break;
            }
        }
        asked
    }

    /// A call over REST to the member in use; none if it was not answered by one that could.
    async fn call(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Option<Reply> {
        let base = &self.shared.urls[self.client.member()];
        let answered = tokio::time::timeout(TIMEOUT, http::request(base, method, path, headers, body)).await;
        match answered {
            Ok(Ok(mut reply)) if reply.status < 500 && reply.status != 429 => {
                if let Some(term) = reply.body.get("term").cloned() {
                    reply.body["token"] = term;
                }
                Some(reply)
            }
            Ok(Ok(_) | Err(_)) | Err(_) => {
                self.client.turn_away();
                None
            }
        }
    }
}
