//! A cluster under simulation: members as they are below gRPC, on one thread, in virtual time, over a network and disks that fail by a
//! seed.
//!
//! A run is a function of its seed and nothing else: the first test says so. Everything else is `run`: clients and a nemesis for a
//! while, then peace, in which all must come to work again; `invariants` watch throughout, `checker` holds what clients saw against
//! what they were promised. A seed that fails is run again, with its whole trace, by the command that its report ends with.

#[path = "../checker/mod.rs"]
mod checker;
mod clients;
mod cluster;
mod connection;
mod convert;
mod disk;
mod invariants;
mod member;
mod nemesis;
mod network;
mod panics;
mod recording;
mod rng;
mod run;
mod seeds;
mod trace;
mod wire;

/// Whether a run is a function of its seed. Without tokio's flag for unstable interfaces its runtime keeps a chance of its own; `make
/// sim` sets it.
const IS_REPEATABLE: bool = cfg!(tokio_unstable);

/// Seeds that are run unless the environment says otherwise. A failure that cannot be repeated is worth little.
const SEEDS: u64 = if IS_REPEATABLE { 500 } else { 20 };

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    if !IS_REPEATABLE {
        println!("not looked at: built without tokio_unstable");
        return;
    }
    for seed in 0..10 {
        let (one, two) = (run::run(seed, false), run::run(seed, false));
        assert_eq!(one.digest, two.digest, "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_traces() {
    assert_ne!(run::run(0, false).digest, run::run(1, false).digest);
}

/// `QUORATE_SIM_SEEDS` says how many, `QUORATE_SIM_FROM` where to begin; `QUORATE_SIM_SEED` runs one, and prints all that happens.
#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("QUORATE_SIM_SEED") {
        let report = run::run(seed, true);
        assert!(report.violations.is_empty(), "{}", report.violations.join("\n"));
        return;
    }
    let from = number("QUORATE_SIM_FROM").unwrap_or(0);
    let campaign = seeds::run(from..from + number("QUORATE_SIM_SEEDS").unwrap_or(SEEDS));
    println!("{campaign}");
    assert!(campaign.failures.is_empty(), "{} seeds failed", campaign.failures.len());
}
