//! A client of a cluster, which writes down what it asks and what it is told.

use std::time::Duration;

use proto::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

use crate::checker::history::{Instant, Outcome, Record, Request};

use super::convert::{outcome, send};
use super::members::channel;

/// How long a client waits for an answer before it takes the outcome for unknown.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// The clock of one history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::try_from(self.0.elapsed().as_micros()).expect("a test is short")
    }
}

/// Where a client goes when a member does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It asks the same member again.
    Stays,
    /// It goes to the next member.
    Roams,
}

/// Connections to all members, one of which is in use.
#[derive(Clone)]
pub(crate) struct Client {
    channels: Vec<Channel>,
    at: usize,
    habit: Habit,
    pub(crate) clock: Clock,
}

impl Client {
    /// A client that begins at a member.
    pub(crate) fn new(urls: &[String], at: usize, habit: Habit, clock: Clock) -> Self {
        Self { channels: urls.iter().map(|url| channel(url)).collect(), at: at % urls.len(), habit, clock }
    }

    /// Does a request once.
    pub(crate) async fn ask(&mut self, request: Request) -> Record {
        let mut kv = KvClient::new(self.channel()).max_decoding_message_size(usize::MAX);
        let called = self.clock.now();
        let answered = tokio::time::timeout(TIMEOUT, send(&mut kv, &request)).await;
        let outcome = answered.map_or(Outcome::Unknown, outcome);
        let returned = self.clock.now();
        if !matches!(outcome, Outcome::Answered(_)) {
            self.turn_away();
        }
        Record { called, returned, request, outcome }
    }

    /// The connection in use.
    pub(crate) fn channel(&self) -> Channel {
        self.channels[self.at].clone()
    }

    /// The number of the member in use.
    pub(crate) fn member(&self) -> usize {
        self.at
    }

    /// The member in use did not answer.
    pub(crate) fn turn_away(&mut self) {
        if self.habit == Habit::Roams {
            self.at = (self.at + 1) % self.channels.len();
        }
    }
}
