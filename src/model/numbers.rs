//! Numbers that could be confused, each with a type of its own.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a raw number.
            #[must_use]
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }

            /// The raw number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number! {
    /// The store's main counter: a fresh store is at 1, every applied request that changes a key raises it by one.
    Revision, i64
}

number! {
    /// Identity of a lease (and so of a session): any non-zero value; 0 in a request means "no lease" or "choose one".
    LeaseId, i64
}

number! {
    /// Position of an entry in the replicated log; the first entry has index 0.
    LogIndex, u64
}

number! {
    /// A leader's term of office.
    Term, u64
}

number! {
    /// Identity of a member; never reused once removed.
    MemberId, u64
}

number! {
    /// Identity of a cluster; fixed at its creation.
    ClusterId, u64
}

impl Revision {
    /// No revision: "latest" in a request, "never" for a compaction.
    pub const ZERO: Self = Self(0);

    /// The revision of a store that has never been written.
    pub const FIRST: Self = Self(1);

    /// The revision after this one.
    ///
    /// # Panics
    ///
    /// When 2^63 - 1 revisions have been used up, which no cluster lives to see.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("revisions are exhausted"))
    }

    /// The revision before this one; that of zero is zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        if self.0 <= 0 { Self(0) } else { Self(self.0 - 1) }
    }
}

impl LeaseId {
    /// No lease.
    pub const NONE: Self = Self(0);

    /// Whether a lease is named at all.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// Term and index of an entry: with one leader per term, this names an entry uniquely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Term of the leader that appended the entry.
    pub term: Term,
    /// Position of the entry.
    pub index: LogIndex,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.index)
    }
}
