//! What a member says of itself once it runs: its name and where clients reach it, as part of the replicated membership. Until it
//! has, it counts as not started.

use std::time::Duration;

use consensus::MemberChange;
use model::MemberId;
use tokio::sync::watch as latest;
use tokio::time::{Instant, sleep};

use crate::config::Config;

/// Pause after a change that failed, or is not applied here yet.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The task that says it.
pub(crate) struct Announcement {
    id: MemberId,
    name: String,
    client_urls: Vec<String>,
    patience: Duration,
    consensus: consensus::Handle,
    said: latest::Sender<bool>,
}

impl Announcement {
    pub(crate) fn new(config: &Config, id: MemberId, consensus: consensus::Handle) -> Self {
        let (name, client_urls) = (config.name.clone(), config.client_urls.clone());
        let said = latest::Sender::new(false);
        Self { id, name, client_urls, patience: config.request_timeout(), consensus, said }
    }

    /// Turns true when it is said.
    pub(crate) fn said(&self) -> latest::Receiver<bool> {
        self.said.subscribe()
    }

    /// Tries until it is said or `stop` changes, then waits for that.
    pub(crate) async fn run(self, mut stop: latest::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stop.changed() => return,
            () = self.say() => {}
        }
        self.said.send_replace(true);
        let _ = stop.changed().await;
    }

    async fn say(&self) {
        while !self.is_said() {
            let change =
                MemberChange::Describe { id: self.id, name: self.name.clone(), client_urls: self.client_urls.clone() };
            match self.consensus.change_members(change, Instant::now() + self.patience).await {
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "could not announce this member yet"),
            }
            // Also until this member has applied it.
            if !self.is_said() {
                sleep(RETRY_AFTER).await;
            }
        }
        tracing::info!(member = format_args!("{:x}", self.id.get()), "the cluster knows this member");
    }

    fn is_said(&self) -> bool {
        let members = self.consensus.members();
        let own = members.iter().find(|member| member.id == self.id);
        own.is_some_and(|own| own.info.name == self.name && own.info.client_urls == self.client_urls)
    }
}
