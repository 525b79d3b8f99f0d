//! Mistakes made on purpose, to see that the simulation finds them. Compiled with `--cfg seeded_bugs` only, so that no server has them.
//!
//! It is in this crate because all that can be wrong stands above it.

use std::sync::OnceLock;

/// Whether this process is to make the mistake `name`: the one that `QUORATE_BUG` names.
#[must_use]
pub fn seeded_bug(name: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("QUORATE_BUG").ok()).as_deref() == Some(name)
}
