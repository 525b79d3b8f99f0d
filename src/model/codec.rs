//! Binary form of a [`Proposal`]: what the log holds and members send each other.
//!
//! ```text
//! proposal  = format:u8(=1) id:u64 proposed_at_ms:u64 user:bytes auth_revision:u64 command
//! command   = tag:u8 fields          tags below, each once and for ever; a new meaning is a new tag
//! bytes     = length:u32 octets      integers are little-endian, signed ones in two's complement
//! list      = count:u32 items
//! ```
//!
//! Decoding takes slices of the input instead of copying, refuses unknown tags, trailing bytes, counts that cannot fit and
//! nesting beyond [`DEPTH_MAX`], and never panics.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::auth_codec::{get_auth, put_auth};
use crate::{
    Alarm, AlarmCause, AlarmChange, AlarmKind, Command, Compare, CompareResult, DeleteRequest, Identity, KeyRange,
    LeaseCheckpoint, LeaseId, MemberId, Op, Operand, Proposal, PutRequest, RangeRequest, Revision, SortOrder,
    SortTarget, TxnRequest,
};

const FORMAT: u8 = 1;

/// Deepest nesting of transactions; the budget of operations at the edge allows no more.
pub const DEPTH_MAX: usize = 130;

/// The bytes are not a proposal of this format. Coming from our own log this is a fault, from a peer a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed log entry: {what}")]
pub struct CodecError {
    what: &'static str,
}

pub(crate) const fn malformed(what: &'static str) -> CodecError {
    CodecError { what }
}

impl Proposal {
    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(96 + self.command.size_hint());
        out.put_u8(FORMAT);
        out.put_u64_le(self.id);
        out.put_u64_le(self.proposed_at_ms);
        put_bytes(&mut out, self.identity.user.as_bytes());
        out.put_u64_le(self.identity.auth_revision);
        put_command(&mut out, &self.command);
        out.freeze()
    }

    /// The id of the proposal in `encoded`, without reading the rest; none if it is too short to be one.
    #[must_use]
    pub fn id_of(encoded: &[u8]) -> Option<u64> {
        let (format, id) = encoded.get(..9)?.split_first()?;
        (*format == FORMAT).then(|| u64::from_le_bytes(id.try_into().expect("eight bytes")))
    }

    /// The proposal in `input`, whose memory it shares.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the bytes are anything else than exactly one proposal.
    pub fn decode(mut input: Bytes) -> Result<Self, CodecError> {
        let from = &mut input;
        if get_u8(from)? != FORMAT {
            return Err(malformed("unknown format number"));
        }
        let id = get_u64(from)?;
        let proposed_at_ms = get_u64(from)?;
        let user = String::from_utf8(get_bytes(from)?.into()).map_err(|_| malformed("user name is not UTF-8"))?;
        let auth_revision = get_u64(from)?;
        let command = get_command(from)?;
        if from.has_remaining() {
            return Err(malformed("bytes after the command"));
        }
        Ok(Self { id, proposed_at_ms, identity: Identity { user, auth_revision }, command })
    }
}

impl Command {
    fn size_hint(&self) -> usize {
        match self {
            Self::Put(put) => put.key.len() + put.value.len(),
            Self::Recipe(payload) => payload.len(),
            Self::Txn(txn) => 160 * (txn.compares.len() + txn.success.len() + txn.failure.len()),
            Self::LeaseCheckpoint(checkpoints) => 16 * checkpoints.len(),
            Self::Auth(_) => 128,
            Self::Delete(_)
            | Self::Compact { .. }
            | Self::LeaseGrant { .. }
            | Self::LeaseRevoke { .. }
            | Self::Alarm(_)
            | Self::Downgrade { .. } => 64,
        }
    }
}

mod tag {
    pub(super) const PUT: u8 = 1;
    pub(super) const DELETE: u8 = 2;
    pub(super) const TXN: u8 = 3;
    pub(super) const COMPACT: u8 = 4;
    pub(super) const LEASE_GRANT: u8 = 5;
    pub(super) const LEASE_REVOKE: u8 = 6;
    pub(super) const LEASE_CHECKPOINT: u8 = 7;
    pub(super) const RECIPE: u8 = 8;
    pub(super) const RANGE: u8 = 9;
    pub(super) const ALARM: u8 = 20;
    pub(super) const DOWNGRADE: u8 = 21;
    pub(super) const AUTH: u8 = 10;
}

fn put_command(out: &mut BytesMut, command: &Command) {
    match command {
        Command::Put(put) => put_put(out, put),
        Command::Delete(delete) => put_delete(out, delete),
        Command::Txn(txn) => put_txn(out, txn),
        Command::Compact { revision } => {
            out.put_u8(tag::COMPACT);
            out.put_i64_le(revision.get());
        }
        Command::LeaseGrant { id, ttl } => {
            out.put_u8(tag::LEASE_GRANT);
            out.put_i64_le(id.get());
            out.put_i64_le(*ttl);
        }
        Command::LeaseRevoke { id } => {
            out.put_u8(tag::LEASE_REVOKE);
            out.put_i64_le(id.get());
        }
        Command::LeaseCheckpoint(checkpoints) => {
            out.put_u8(tag::LEASE_CHECKPOINT);
            put_count(out, checkpoints.len());
            for checkpoint in checkpoints {
                out.put_i64_le(checkpoint.id.get());
                out.put_i64_le(checkpoint.remaining);
            }
        }
        Command::Recipe(payload) => {
            out.put_u8(tag::RECIPE);
            put_bytes(out, payload);
        }
        Command::Alarm(change) => {
            out.put_u8(tag::ALARM);
            put_alarm(out, *change);
        }
        Command::Downgrade { target } => {
            out.put_u8(tag::DOWNGRADE);
            put_flags(out, [target.is_some()]);
            put_bytes(out, target.as_deref().unwrap_or_default());
        }
        Command::Auth(auth) => {
            out.put_u8(tag::AUTH);
            put_auth(out, auth);
        }
    }
}

fn get_command(from: &mut Bytes) -> Result<Command, CodecError> {
    match get_u8(from)? {
        tag::PUT => get_put(from).map(Command::Put),
        tag::DELETE => get_delete(from).map(Command::Delete),
        tag::TXN => get_txn(from, DEPTH_MAX).map(Command::Txn),
        tag::COMPACT => Ok(Command::Compact { revision: Revision::new(get_i64(from)?) }),
        tag::LEASE_GRANT => Ok(Command::LeaseGrant { id: LeaseId::new(get_i64(from)?), ttl: get_i64(from)? }),
        tag::LEASE_REVOKE => Ok(Command::LeaseRevoke { id: LeaseId::new(get_i64(from)?) }),
        tag::LEASE_CHECKPOINT => get_list(from, 16, |from| {
            Ok(LeaseCheckpoint { id: LeaseId::new(get_i64(from)?), remaining: get_i64(from)? })
        })
        .map(Command::LeaseCheckpoint),
        tag::RECIPE => get_bytes(from).map(Command::Recipe),
        tag::ALARM => get_alarm(from).map(Command::Alarm),
        tag::DOWNGRADE => {
            let ([is_some], target) = (get_flags(from)?, get_bytes(from)?);
            Ok(Command::Downgrade { target: is_some.then_some(target) })
        }
        tag::AUTH => get_auth(from).map(Command::Auth),
        _ => Err(malformed("unknown command")),
    }
}

fn put_alarm(out: &mut BytesMut, change: AlarmChange) {
    let (action, kind, member) = match change {
        AlarmChange::End { kind, member } => (0, kind, member),
        AlarmChange::Raise(Alarm { kind, member, cause: AlarmCause::Request }) => (1, kind, member),
        AlarmChange::Raise(Alarm { kind, member, cause: AlarmCause::Watch }) => (2, kind, member),
    };
    out.put_u8(action);
    out.put_u8(kind.number());
    out.put_u64_le(member.get());
}

fn get_alarm(from: &mut Bytes) -> Result<AlarmChange, CodecError> {
    let action = get_u8(from)?;
    let kind = AlarmKind::of_number(get_u8(from)?).ok_or(malformed("unknown alarm"))?;
    let member = MemberId::new(get_u64(from)?);
    match action {
        0 => Ok(AlarmChange::End { kind, member }),
        1 => Ok(AlarmChange::Raise(Alarm { kind, member, cause: AlarmCause::Request })),
        2 => Ok(AlarmChange::Raise(Alarm { kind, member, cause: AlarmCause::Watch })),
        _ => Err(malformed("unknown change of an alarm")),
    }
}

fn put_put(out: &mut BytesMut, put: &PutRequest) {
    out.put_u8(tag::PUT);
    put_bytes(out, &put.key);
    put_bytes(out, &put.value);
    out.put_i64_le(put.lease.get());
    put_flags(out, [put.prev_kv, put.ignore_value, put.ignore_lease]);
}

fn get_put(from: &mut Bytes) -> Result<PutRequest, CodecError> {
    let key = get_bytes(from)?;
    let value = get_bytes(from)?;
    let lease = LeaseId::new(get_i64(from)?);
    let [prev_kv, ignore_value, ignore_lease] = get_flags(from)?;
    Ok(PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease })
}

fn put_delete(out: &mut BytesMut, delete: &DeleteRequest) {
    out.put_u8(tag::DELETE);
    put_range_of_keys(out, &delete.range);
    put_flags(out, [delete.prev_kv]);
}

fn get_delete(from: &mut Bytes) -> Result<DeleteRequest, CodecError> {
    let range = get_range_of_keys(from)?;
    let [prev_kv] = get_flags(from)?;
    Ok(DeleteRequest { range, prev_kv })
}

fn put_range(out: &mut BytesMut, range: &RangeRequest) {
    out.put_u8(tag::RANGE);
    put_range_of_keys(out, &range.range);
    out.put_i64_le(range.limit);
    out.put_i64_le(range.revision.get());
    out.put_u8(match range.order {
        SortOrder::None => 0,
        SortOrder::Ascend => 1,
        SortOrder::Descend => 2,
    });
    out.put_u8(match range.target {
        SortTarget::Key => 0,
        SortTarget::Version => 1,
        SortTarget::Create => 2,
        SortTarget::Mod => 3,
        SortTarget::Value => 4,
    });
    put_flags(out, [range.serializable, range.keys_only, range.count_only]);
    for bound in [range.min_mod_revision, range.max_mod_revision, range.min_create_revision, range.max_create_revision]
    {
        out.put_i64_le(bound.get());
    }
}

fn get_range(from: &mut Bytes) -> Result<RangeRequest, CodecError> {
    let range = get_range_of_keys(from)?;
    let limit = get_i64(from)?;
    let revision = Revision::new(get_i64(from)?);
    let order = match get_u8(from)? {
        0 => SortOrder::None,
        1 => SortOrder::Ascend,
        2 => SortOrder::Descend,
        _ => return Err(malformed("unknown sort order")),
    };
    let target = match get_u8(from)? {
        0 => SortTarget::Key,
        1 => SortTarget::Version,
        2 => SortTarget::Create,
        3 => SortTarget::Mod,
        4 => SortTarget::Value,
        _ => return Err(malformed("unknown sort target")),
    };
    let [serializable, keys_only, count_only] = get_flags(from)?;
    let mut bound = || get_i64(from).map(Revision::new);
    Ok(RangeRequest {
        range,
        limit,
        revision,
        order,
        target,
        serializable,
        keys_only,
        count_only,
        min_mod_revision: bound()?,
        max_mod_revision: bound()?,
        min_create_revision: bound()?,
        max_create_revision: bound()?,
    })
}

fn put_txn(out: &mut BytesMut, txn: &TxnRequest) {
    out.put_u8(tag::TXN);
    put_count(out, txn.compares.len());
    for compare in &txn.compares {
        put_compare(out, compare);
    }
    for branch in [&txn.success, &txn.failure] {
        put_count(out, branch.len());
        for op in branch {
            match op {
                Op::Range(range) => put_range(out, range),
                Op::Put(put) => put_put(out, put),
                Op::Delete(delete) => put_delete(out, delete),
                Op::Txn(inner) => put_txn(out, inner),
            }
        }
    }
}

fn get_txn(from: &mut Bytes, depth_left: usize) -> Result<TxnRequest, CodecError> {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Err(malformed("transactions nested too deeply"));
    };
    let op = |from: &mut Bytes| match get_u8(from)? {
        tag::RANGE => get_range(from).map(Op::Range),
        tag::PUT => get_put(from).map(Op::Put),
        tag::DELETE => get_delete(from).map(Op::Delete),
        tag::TXN => get_txn(from, depth_left).map(Op::Txn),
        _ => Err(malformed("unknown operation")),
    };
    Ok(TxnRequest {
        compares: get_list(from, 8, get_compare)?,
        success: get_list(from, 8, op)?,
        failure: get_list(from, 8, op)?,
    })
}

fn put_compare(out: &mut BytesMut, compare: &Compare) {
    put_range_of_keys(out, &compare.range);
    out.put_u8(match compare.result {
        CompareResult::Equal => 0,
        CompareResult::Greater => 1,
        CompareResult::Less => 2,
        CompareResult::NotEqual => 3,
        CompareResult::Unknown => 255,
    });
    let (kind, number) = match &compare.operand {
        Operand::Version(version) => (0, *version),
        Operand::Create(revision) => (1, *revision),
        Operand::Mod(revision) => (2, *revision),
        Operand::Value(value) => {
            out.put_u8(3);
            return put_bytes(out, value);
        }
        Operand::Lease(lease) => (4, *lease),
        Operand::Unknown => (255, 0),
    };
    out.put_u8(kind);
    out.put_i64_le(number);
}

fn get_compare(from: &mut Bytes) -> Result<Compare, CodecError> {
    let range = get_range_of_keys(from)?;
    let result = match get_u8(from)? {
        0 => CompareResult::Equal,
        1 => CompareResult::Greater,
        2 => CompareResult::Less,
        3 => CompareResult::NotEqual,
        255 => CompareResult::Unknown,
        _ => return Err(malformed("unknown comparison")),
    };
    let operand = match get_u8(from)? {
        0 => Operand::Version(get_i64(from)?),
        1 => Operand::Create(get_i64(from)?),
        2 => Operand::Mod(get_i64(from)?),
        3 => Operand::Value(get_bytes(from)?),
        4 => Operand::Lease(get_i64(from)?),
        255 => {
            get_i64(from)?;
            Operand::Unknown
        }
        _ => return Err(malformed("unknown operand")),
    };
    Ok(Compare { range, result, operand })
}

pub(crate) fn put_range_of_keys(out: &mut BytesMut, range: &KeyRange) {
    put_bytes(out, range.start());
    put_bytes(out, &range.range_end());
}

pub(crate) fn get_range_of_keys(from: &mut Bytes) -> Result<KeyRange, CodecError> {
    Ok(KeyRange::from_wire(get_bytes(from)?, get_bytes(from)?))
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32_le(u32::try_from(count).expect("the edge bounds a request far below 4 Gi items"));
}

/// Reads a list whose items take at least `item_bytes_min` each, so that a false count cannot ask for memory.
fn get_list<T>(
    from: &mut Bytes,
    item_bytes_min: usize,
    mut item: impl FnMut(&mut Bytes) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let count = get_u32(from)? as usize;
    if count > from.remaining() / item_bytes_min {
        return Err(malformed("more items announced than bytes left"));
    }
    (0..count).map(|_| item(from)).collect()
}

pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

pub(crate) fn get_bytes(from: &mut Bytes) -> Result<Bytes, CodecError> {
    let length = get_u32(from)? as usize;
    if length > from.remaining() {
        return Err(malformed("a field is longer than the entry"));
    }
    Ok(from.split_to(length))
}

fn put_flags<const N: usize>(out: &mut BytesMut, flags: [bool; N]) {
    out.put_u8(flags.iter().enumerate().fold(0, |byte, (bit, flag)| byte | (u8::from(*flag) << bit)));
}

fn get_flags<const N: usize>(from: &mut Bytes) -> Result<[bool; N], CodecError> {
    let byte = get_u8(from)?;
    if byte >> N != 0 {
        return Err(malformed("unknown flag"));
    }
    Ok(std::array::from_fn(|bit| byte >> bit & 1 == 1))
}

pub(crate) fn get_u8(from: &mut Bytes) -> Result<u8, CodecError> {
    from.try_get_u8().map_err(|_| malformed("cut short"))
}

fn get_u32(from: &mut Bytes) -> Result<u32, CodecError> {
    from.try_get_u32_le().map_err(|_| malformed("cut short"))
}

pub(crate) fn get_u64(from: &mut Bytes) -> Result<u64, CodecError> {
    from.try_get_u64_le().map_err(|_| malformed("cut short"))
}

fn get_i64(from: &mut Bytes) -> Result<i64, CodecError> {
    from.try_get_i64_le().map_err(|_| malformed("cut short"))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
