//! What has a name in a namespace, beside locks: which keys it is made of, and where it is.
//!
//! ```text
//! election         /<namespace>/elections/<name>/<session>     namespace "-": <name>/<session>, as with locks
//! barrier          /<namespace>/barriers/<name>
//! double barrier   /<namespace>/dbarriers/<name>/{waiters/<session>, ready}
//! cyclic barrier   /<namespace>/cbarriers/<name>/{parties/<session>, generation}
//! latch, counter   /<namespace>/{latches, counters}/<name>
//! group            /<namespace>/groups/<name>/<session>
//! queue            /<namespace>/queues/<name>/<message>
//! what a recipe must remember beside   /<namespace>/_meta/<folder>/<name>/…
//! ```
//!
//! A name is escaped in the key where it would otherwise be more than one part of a path.

use bytes::Bytes;

use super::names::{Namespace, escape, escape_in_path};
use super::path::OfName;
use super::problem::Problem;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Elections,
    Barriers,
    DoubleBarriers,
    CyclicBarriers,
    Latches,
    Counters,
    Groups,
    Queues,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) namespace: Namespace,
    /// Its name, unescaped.
    pub(crate) name: String,
    folder: Folder,
}

impl Folder {
    /// What its keys have after the namespace.
    const fn key(self) -> &'static str {
        match self {
            Self::Elections => "elections",
            Self::Barriers => "barriers",
            Self::DoubleBarriers => "dbarriers",
            Self::CyclicBarriers => "cbarriers",
            Self::Latches => "latches",
            Self::Counters => "counters",
            Self::Groups => "groups",
            Self::Queues => "queues",
        }
    }

    /// What its paths have after the namespace.
    const fn path(self) -> &'static str {
        match self {
            Self::Elections => "elections",
            Self::Barriers => "barriers",
            Self::DoubleBarriers => "double-barriers",
            Self::CyclicBarriers => "cyclic-barriers",
            Self::Latches => "latches",
            Self::Counters => "counters",
            Self::Groups => "groups",
            Self::Queues => "queues",
        }
    }

    /// Whether one can be anywhere among etcd's keys: where etcd's own clients have the same layout and nothing beside it.
    const fn may_be_verbatim(self) -> bool {
        match self {
            Self::Elections => true,
            Self::Barriers
            | Self::DoubleBarriers
            | Self::CyclicBarriers
            | Self::Latches
            | Self::Counters
            | Self::Groups
            | Self::Queues => false,
        }
    }

    /// The resource of this kind that a path names.
    pub(crate) fn named(self, of: OfName) -> Result<Resource, Problem> {
        let OfName { namespace, name } = of;
        if namespace.is_verbatim() && !self.may_be_verbatim() {
            return Err(Problem::invalid(format!("there are no {} in namespace \"-\"", self.path())));
        }
        Ok(Resource { namespace, name, folder: self })
    }
}

impl Resource {
    /// The name under which etcd's clients have it.
    pub(crate) fn etcd_name(&self) -> String {
        if self.namespace.is_verbatim() {
            return self.name.clone();
        }
        format!("/{}/{}/{}", self.namespace.as_str(), self.folder.key(), escape(&self.name))
    }

    /// What the keys that make it up begin with.
    pub(crate) fn prefix(&self) -> Bytes {
        (self.etcd_name() + "/").into()
    }

    /// What the keys begin with that are remembered beside.
    pub(crate) fn meta(&self) -> Bytes {
        format!("/{}/_meta/{}/{}/", self.namespace.as_str(), self.folder.key(), escape(&self.name)).into()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}/{}", self.namespace.url(), self.folder.path(), escape_in_path(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(namespace: &str, name: &str) -> Resource {
        let of = OfName { namespace: Namespace::parse(namespace).unwrap(), name: name.to_owned() };
        Folder::Elections.named(of).unwrap()
    }

    #[test]
    fn a_name_is_one_part_of_a_key() {
        let plain = election("default", "shards");
        assert_eq!(plain.prefix(), "/default/elections/shards/");
        assert_eq!(plain.meta(), "/default/_meta/elections/shards/");
        assert_eq!(plain.url(), "/v1/elections/shards");
        let nested = election("pay", "a/b%");
        assert_eq!(nested.etcd_name(), "/pay/elections/a%2Fb%25");
        assert_eq!(nested.url(), "/v1/ns/pay/elections/a%2Fb%25");
        let verbatim = election("-", "my/election");
        assert_eq!(verbatim.prefix(), "my/election/");
    }
}
