//! Which program the members are: the binary under test, or etcd, whose flags it takes.

use std::process::Command;

/// A program that runs members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Quorate,
    Etcd,
}

impl Program {
    /// The one that the environment asks for.
    pub(crate) fn chosen() -> Self {
        match std::env::var("QUORATE_CLUSTER_OF").as_deref() {
            Err(_) | Ok("quorate") => Self::Quorate,
            Ok("etcd") => Self::Etcd,
            Ok(other) => panic!("QUORATE_CLUSTER_OF is quorate or etcd, not {other:?}"),
        }
    }

    pub(crate) fn command(self) -> Command {
        match self {
            Self::Quorate => Command::new(env!("CARGO_BIN_EXE_quorate")),
            Self::Etcd => {
                let mut etcd = Command::new("etcd");
                etcd.arg("--pre-vote");
                etcd
            }
        }
    }
}
