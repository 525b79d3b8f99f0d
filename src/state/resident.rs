//! What is always in memory of a store: where it stands, who the members are, how far cleanup has come, the leases,
//! and the facts.
//!
//! It is taken in record by record, in the order of the store: from one that is opened, or from one that arrives in pieces.

use std::ops::Bound;

use bytes::Bytes;
use model::Revision;

use crate::Fault;
use crate::facts::Facts;
use crate::format::{self, Cursor, Head};
use crate::lease::LeaseTable;
use crate::storage::{Storage, View};

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) head: Head,
    pub(crate) membership: Bytes,
    pub(crate) cursor: Cursor,
    pub(crate) leases: LeaseTable,
    pub(crate) facts: Facts,
}

impl Resident {
    /// That of a store, which gets its marks if it is new.
    pub(crate) fn open(storage: &dyn Storage) -> Result<Self, Fault> {
        let view = storage.view();
        if view.get(&format::FORMAT_KEY)?.is_some() {
            return Self::load(&*view);
        }
        if view.range(Bound::Unbounded, Bound::Unbounded).next().is_some() {
            return Err(Fault::ForeignData);
        }
        // Before anything else: a first flush that is cut off leaves data on the later shelves, which the mark makes ours.
        let head = Head { applied: None, revision: Revision::FIRST, compact_revision: Revision::ZERO, live_bytes: 0 };
        storage.ingest(&mut format::marks(&head).into_iter())?;
        let (leases, facts) = (LeaseTable::default(), Facts::default());
        Ok(Self { head, membership: Bytes::new(), cursor: Cursor::default(), leases, facts })
    }

    fn load(view: &dyn View) -> Result<Self, Fault> {
        let mut intake = Intake::default();
        let (start, end) = format::RESIDENT;
        for entry in view.range(start, end) {
            let (key, record) = entry?;
            intake.take(&key, &record)?;
        }
        if let Some(record) = view.get(&format::CURSOR_KEY)? {
            intake.take(&format::CURSOR_KEY, &record)?;
        }
        intake.finish()
    }
}

/// What has been taken in so far.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    is_marked: bool,
    head: Option<Head>,
    membership: Bytes,
    cursor: Cursor,
    leases: LeaseTable,
    facts: Facts,
}

impl Intake {
    /// Takes in a record, if it is one of those. The mark has to be the first.
    pub(crate) fn take(&mut self, key: &Bytes, record: &Bytes) -> Result<(), Fault> {
        if *key == format::FORMAT_KEY {
            format::check_format(record)?;
            self.is_marked = true;
        } else if !self.is_marked {
            return Err(Fault::ForeignData);
        } else if *key == format::HEAD_KEY {
            self.head = Some(Head::decode(record)?);
        } else if *key == format::MEMBERSHIP_KEY {
            self.membership = Bytes::copy_from_slice(record);
        } else if *key == format::CURSOR_KEY {
            self.cursor = Cursor::decode(record)?;
        } else if format::is_fact(key) {
            self.facts.load(key, record)?;
        } else {
            self.leases.load(key, record)?;
        }
        Ok(())
    }

    /// Ends, after the last record.
    pub(crate) fn finish(self) -> Result<Resident, Fault> {
        let Self { is_marked: _, head, membership, cursor, leases, facts } = self;
        let head = head.ok_or(Fault::Damaged("no head"))?;
        Ok(Resident { head, membership, cursor, leases, facts })
    }
}
