//! Which member is asked: one after the other, and those that failed a moment ago last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::dial::Dial;
use crate::url::{Scheme, Url};
use crate::{Config, Error, tls};

/// How long a member that failed is only asked when no other is left.
const AVOIDED_FOR: Duration = Duration::from_secs(1);

/// The members that are asked.
#[derive(Debug)]
pub(crate) struct Balance {
    members: Vec<Target>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Target {
    channel: Channel,
    /// A leaf lock, held for a copy.
    avoided_until: Mutex<Option<Instant>>,
}

/// A member that was chosen for an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    number: usize,
    pub(crate) channel: Channel,
}

impl Balance {
    /// Connects to nothing yet. To be called within a runtime.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        if config.endpoints.is_empty() {
            return Err(Error::Config("no endpoints are given".to_owned()));
        }
        let members = config.endpoints.iter().map(|endpoint| target(endpoint, config)).collect::<Result<_, _>>()?;
        Ok(Self { members, next: AtomicUsize::new(0) })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The next member of those that did not fail lately, or else the one whose failure is oldest.
    pub(crate) fn choose(&self) -> Chosen {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let order = (0..self.members.len()).map(|step| (first.wrapping_add(step)) % self.members.len());
        let avoided = |number: &usize| self.members[*number].avoided_until.lock().filter(|until| *until > now);
        let number = order.min_by_key(avoided).unwrap_or(0);
        Chosen { number, channel: self.members[number].channel.clone() }
    }

    /// Has a member that failed left alone for a while.
    pub(crate) fn avoid(&self, chosen: &Chosen) {
        *self.members[chosen.number].avoided_until.lock() = Some(Instant::now() + AVOIDED_FOR);
    }
}

fn target(endpoint: &str, config: &Config) -> Result<Target, Error> {
    let default = if config.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let url = Url::parse(endpoint, default)?;
    let settings = config.tls.clone().unwrap_or_default();
    let tls = url.is_tls.then(|| tls::client_config(&settings)).transpose()?;
    let origin = url.origin()?;
    let endpoint = Endpoint::from_shared(format!("http://{}", origin.authority().map_or("", |a| a.as_str())))
        .map_err(|error| Error::Config(format!("{endpoint:?}: {error}")))?
        .origin(origin)
        .connect_timeout(config.connect_timeout)
        .http2_keep_alive_interval(config.keep_alive_time)
        .keep_alive_timeout(config.keep_alive_timeout);
    let dial = Dial { url, tls, server_name: settings.server_name };
    Ok(Target { channel: endpoint.connect_with_connector_lazy(dial), avoided_until: Mutex::new(None) })
}
