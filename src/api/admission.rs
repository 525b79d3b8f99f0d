//! Who gets a connection, and how much one address may ask.
//!
//! An address counts as what one customer has: one of IPv4, or a network of 64 bits of IPv6. Memory is bounded by the connections that
//! are open: what is known of addresses that have gone and could ask again at full speed is forgotten.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses whose pace is remembered before those that rest are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// Admits connections. Cheap to clone; all clones share the bounds.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    addresses: Arc<Addresses>,
}

struct Addresses {
    /// Connections of each address that has any.
    open: Mutex<HashMap<IpAddr, usize>>,
    connections_max: usize,
    rates: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").field("connections_max", &self.connections_max).finish_non_exhaustive()
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are as many as there may be.
    Everywhere,
    /// There are as many from this address.
    Address,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    addresses: Arc<Addresses>,
    network: IpAddr,
    _slot: OwnedSemaphorePermit,
}

/// What an address may ask. In the extensions of its requests, if there is a bound at all.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    addresses: Arc<Addresses>,
    network: IpAddr,
}

impl Admission {
    /// At most `connections_max` connections at a time, and at most `per_address_max` from one address; `rate` is requests a second of
    /// one address, and as many at once.
    pub(crate) fn new(connections_max: usize, per_address_max: usize, rate: Option<NonZeroU32>) -> Self {
        let addresses = Addresses {
            open: Mutex::default(),
            connections_max: per_address_max,
            rates: rate.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
        };
        Self { slots: Arc::new(Semaphore::new(connections_max)), addresses: Arc::new(addresses) }
    }

    /// A place for a connection from `address`.
    ///
    /// # Errors
    ///
    /// There is none; the connection is to be closed.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Admitted, Full> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Full::Everywhere)?;
        let network = network(address);
        if !self.addresses.enter(network) {
            return Err(Full::Address);
        }
        Ok(Admitted { addresses: Arc::clone(&self.addresses), network, _slot: slot })
    }
}

impl Addresses {
    fn enter(&self, network: IpAddr) -> bool {
        if let Some(rates) = self.rates.as_ref().filter(|rates| rates.len() > REMEMBERED_MAX) {
            rates.retain_recent();
        }
        let mut open = self.open.lock();
        let count = open.entry(network).or_default();
        let has_room = *count < self.connections_max;
        *count += usize::from(has_room);
        has_room
    }

    fn leave(&self, network: IpAddr) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

impl Admitted {
    /// What requests over this connection are counted against; nothing, if nothing is.
    pub(crate) fn allowance(&self) -> Option<Allowance> {
        let is_bounded = self.addresses.rates.is_some();
        is_bounded.then(|| Allowance { addresses: Arc::clone(&self.addresses), network: self.network })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.addresses.leave(self.network);
    }
}

impl Allowance {
    /// Counts one more request; whether it is still one that may be asked.
    pub(crate) fn has_one_more(&self) -> bool {
        self.addresses.rates.as_ref().is_none_or(|rates| rates.check_key(&self.network).is_ok())
    }
}

/// Methods that are never refused for being many: they keep or give back what others would wait for.
const NEVER_REFUSED: [&str; 4] = [
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/v3lockpb.Lock/Unlock",
    "/v3electionpb.Election/Resign",
];

/// Whether a call to the gRPC method at `path` with these extensions has to be refused.
pub(crate) fn is_one_too_many(path: &str, extensions: &http::Extensions) -> bool {
    let Some(allowance) = extensions.get::<Allowance>() else { return false };
    !NEVER_REFUSED.contains(&path) && !allowance.has_one_more()
}

/// What an address counts as.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_bounded_by_address_and_altogether_and_come_back() {
        let admission = Admission::new(3, 2, None);
        let (a, b) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = admission.admit(a).expect("room");
        let _second = admission.admit(a).expect("room");
        assert_eq!(admission.admit(a).expect_err("two are there"), Full::Address);
        let _third = admission.admit(b).expect("room for another address");
        assert_eq!(admission.admit(b).expect_err("three are there"), Full::Everywhere);
        drop(first);
        let again = admission.admit(a).expect("a place came back");
        assert!(again.allowance().is_none(), "nothing bounds the pace");
    }

    #[test]
    fn nothing_is_kept_of_addresses_without_connections() {
        let admission = Admission::new(10, 2, None);
        drop(admission.admit(address("10.0.0.1")).expect("room"));
        assert!(admission.addresses.open.lock().is_empty());
    }

    #[test]
    fn one_network_of_ipv6_and_one_address_of_ipv4_are_one() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_ne!(network(address("10.0.0.1")), network(address("10.0.0.2")));
    }

    #[test]
    fn requests_above_the_pace_are_refused_but_those_that_give_back() {
        let admission = Admission::new(10, 10, NonZeroU32::new(2));
        let admitted = admission.admit(address("10.0.0.1")).expect("room");
        let mut extensions = http::Extensions::new();
        extensions.insert(admitted.allowance().expect("there is a bound"));
        let refused = |path| is_one_too_many(path, &extensions);
        let range = "/etcdserverpb.KV/Range";
        assert_eq!([refused(range), refused(range), refused(range)], [false, false, true]);
        for path in NEVER_REFUSED {
            assert!(!refused(path), "{path}");
        }
        assert!(!is_one_too_many(range, &http::Extensions::new()), "no bound, no refusal");
        let other = admission.admit(address("10.0.0.2")).expect("room");
        assert!(other.allowance().expect("there is a bound").has_one_more(), "addresses do not count for each other");
    }
}
