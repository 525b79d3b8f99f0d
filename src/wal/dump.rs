//! Prints a log for people: one line a record, damage included.
//!
//! Needs neither the lock nor the right to write, so it also works on the log of a running member, whose end may then look torn.

use std::io::Write;
use std::path::Path;

use crate::error::Error;
use crate::format::Record;
use crate::fs::{Access, Fs};
use crate::record::{LogId, State};
use crate::scan::{Located, Scanner, Step};
use crate::segment::{Segment, list};

/// Writes every record of the log in `dir` to `out`, as far as it can be read: offset, type, what it says, size. A record that is
/// printed has passed all checks.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Foreign`], [`Error::UnknownFormat`], [`Error::Corrupt`] where reading ends early; [`Error::Output`] if
/// `out` fails; [`Error::Io`].
pub fn dump(fs: &dyn Fs, dir: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let names = list(fs, dir)?;
    if names.is_empty() {
        return Err(Error::NotFound { dir: dir.to_path_buf() });
    }
    let mut chain = None;
    for name in names {
        let segment = Segment::open(fs, dir, name, Access::Read)?;
        writeln!(out, "segment {name} sequence={} first={} bytes={}", name.sequence, name.first, segment.size)
            .map_err(Error::Output)?;
        let mut scanner = Scanner::new(&segment, chain);
        while print_step(&mut scanner, out)? {}
        chain = scanner.chain();
    }
    Ok(())
}

/// Prints what the next step gives; `false` at the end of the segment.
fn print_step(scanner: &mut Scanner<'_>, out: &mut dyn Write) -> Result<bool, Error> {
    match scanner.step()? {
        Step::Record(located) => print_record(&located, out).map(|()| true),
        Step::End(end) => match end.dirty_end {
            None => writeln!(out, "{:>10} end", end.offset),
            Some(dirty_end) => writeln!(out, "{:>10} torn: an interrupted write up to {dirty_end}", end.offset),
        }
        .map(|()| false)
        .map_err(Error::Output),
    }
}

fn print_record(located: &Located<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let Located { offset, length, record } = located;
    match record {
        Record::Metadata(bytes) => writeln!(out, "{offset:>10} metadata {} size={length} crc=ok", bytes.escape_ascii()),
        Record::Entry { log_id: LogId { term, index }, payload } => {
            writeln!(
                out,
                "{offset:>10} entry    index={index} term={term} payload={} size={length} crc=ok",
                payload.len()
            )
        }
        Record::State(state) => writeln!(out, "{offset:>10} state    {} size={length} crc=ok", describe(state)),
        Record::Crc(chain) => writeln!(out, "{offset:>10} crc      chain={chain:08x} size={length} crc=ok"),
        Record::Snapshot { log_id: LogId { term, index }, data } => {
            writeln!(out, "{offset:>10} snapshot index={index} term={term} data={} size={length} crc=ok", data.len())
        }
        Record::Purge(LogId { term, index }) => {
            writeln!(out, "{offset:>10} purge    index={index} term={term} size={length} crc=ok")
        }
    }
    .map_err(Error::Output)
}

fn describe(state: &State) -> String {
    let voted_for = state.voted_for.map_or("none".to_owned(), |id| format!("{id:x}"));
    let vote = if state.is_vote_committed { "committed" } else { "pending" };
    let commit = state.commit.map_or("none".to_owned(), |LogId { term, index }| format!("{index} commit-term={term}"));
    format!("term={} voted-for={voted_for} vote={vote} commit={commit}", state.term)
}
