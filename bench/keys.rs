//! Keys and values of the load, built before it starts.
//!
//! Every key and value is a slice of shared memory, so that a request costs the load generator neither an allocation nor
//! a copy before it is encoded. Values are random bytes, and differ between keys: a store that compresses gains nothing.
//! The same seed gives the same keys, values and choices for every server.

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

/// Bytes of every value.
pub(crate) const VALUE_BYTES: usize = 256;
/// Bytes of every key: the prefix and ten digits, so that order by number is order by key.
const KEY_BYTES: usize = KEY_PREFIX.len() + 10;
const KEY_PREFIX: &str = "key/";
/// Random bytes that the values are cut from.
const POOL_BYTES: usize = 1 << 20;
/// Distance between the values of neighbouring keys; prime, so that the pool is used evenly.
const VALUE_STRIDE: usize = 1_021;

/// A number of keys with their values.
#[derive(Clone)]
pub(crate) struct KeySpace {
    keys: Bytes,
    pool: Bytes,
    count: usize,
    seed: u64,
}

impl KeySpace {
    /// `count` keys (at least one), with everything random drawn from `seed`.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut keys = BytesMut::with_capacity(count * KEY_BYTES);
        for number in 0..count {
            keys.extend_from_slice(format!("{KEY_PREFIX}{number:010}").as_bytes());
        }
        let mut pool = vec![0; POOL_BYTES];
        StdRng::seed_from_u64(seed).fill_bytes(&mut pool);
        Self { keys: keys.freeze(), pool: pool.into(), count, seed }
    }

    /// How many keys there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Key `number`, which must be less than the count.
    pub(crate) fn key(&self, number: usize) -> Bytes {
        self.keys.slice(number * KEY_BYTES..(number + 1) * KEY_BYTES)
    }

    /// The value of key `number`; any number has one.
    pub(crate) fn value(&self, number: usize) -> Bytes {
        let start = number.wrapping_mul(VALUE_STRIDE) % (POOL_BYTES - VALUE_BYTES);
        self.pool.slice(start..start + VALUE_BYTES)
    }

    /// The choices of one client.
    pub(crate) fn picker(&self, client: usize) -> Picker {
        Picker { random: StdRng::seed_from_u64(self.seed ^ (client as u64 + 1)), count: self.count }
    }
}

/// A stream of pseudo-random choices.
pub(crate) struct Picker {
    random: StdRng,
    count: usize,
}

impl Picker {
    /// The number of a key.
    pub(crate) fn number(&mut self) -> usize {
        self.random.random_range(0..self.count)
    }

    /// True in `percent` of a hundred calls.
    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        self.random.random_range(0..100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_distinct_ordered_and_of_one_length() {
        let space = KeySpace::new(1_000, 1);
        let keys: Vec<Bytes> = (0..1_000).map(|number| space.key(number)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1] && pair[0].len() == pair[1].len()));
    }

    #[test]
    fn values_have_their_length_at_both_ends_of_the_pool_and_differ() {
        let space = KeySpace::new(1, 1);
        for number in [0, 1, 1_026, 1_000_000, usize::MAX] {
            assert_eq!(space.value(number).len(), VALUE_BYTES);
        }
        assert_ne!(space.value(1), space.value(2));
    }

    #[test]
    fn the_same_seed_and_client_choose_the_same() {
        let choices = |seed, client| {
            let mut picker = KeySpace::new(100_000, seed).picker(client);
            [picker.number(), picker.number(), picker.number()]
        };
        assert_eq!(choices(7, 3), choices(7, 3));
        assert_ne!(choices(7, 3), choices(7, 4));
        assert_ne!(choices(7, 3), choices(8, 3));
    }
}
