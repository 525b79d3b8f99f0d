//! Both sides over real sockets of the loopback, with a member that only remembers and repeats what it was told.

mod calls;
mod fake;
mod garbage;
mod lost;
mod rogue;
mod served;
mod snapshots;
mod streams;
mod tls;

use std::time::Duration;

/// Long enough for whatever must happen on a busy machine; no test waits for it to pass.
const LONG: Duration = Duration::from_secs(20);
