//! Binary forms that are this crate's: the payload of a log entry as the WAL and peers carry it, and the membership that
//! the state machine keeps for us.
//!
//! ```text
//! entry              = 0x00                             blank: the first entry of a leader's term
//!                    | 0x01 octets                      a command, to the end of the record
//!                    | 0x02 membership                  a change of the membership
//! stored membership  = 0x01 present:u8 [term:u64 index:u64] membership     log id of the entry that set it, if any did
//! membership         = configs:list(config) nodes:list(node)
//! config             = list(member:u64)                 voters; two configs while a change is in its joint phase
//! node               = member:u64 name:text peer_urls:list(text) client_urls:list(text)
//! list               = count:u32 items
//! text               = length:u32 UTF-8                 integers are little-endian
//! ```
//!
//! The first byte of both forms is also their version: a new form takes a new number, and an unknown number is refused.
//! Decoding never panics.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Error;
use crate::types::{Command, MemberInfo, Membership, Payload, StoredMembership, log_id};

const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;
const STORED_MEMBERSHIP: u8 = 1;

/// The record of an entry's payload. A command is copied once, next to its tag.
pub(crate) fn encode_payload(payload: &Payload) -> Bytes {
    let mut out = BytesMut::new();
    match payload {
        Payload::Blank => return Bytes::from_static(&[BLANK]),
        Payload::Normal(command) => {
            out.reserve(1 + command.0.len());
            out.put_u8(COMMAND);
            out.put_slice(&command.0);
        }
        Payload::Membership(membership) => {
            out.put_u8(MEMBERSHIP);
            put_membership(&mut out, membership);
        }
    }
    out.freeze()
}

/// The payload in a record, whose memory it shares.
///
/// # Errors
///
/// [`Error::Corrupt`]: the record passed its checksum and is still not ours.
pub(crate) fn decode_payload(mut input: Bytes) -> Result<Payload, Error> {
    let from = &mut input;
    match get_u8(from)? {
        BLANK => finish(from, Payload::Blank),
        COMMAND => Ok(Payload::Normal(Command(input))),
        MEMBERSHIP => {
            let membership = get_membership(from)?;
            finish(from, Payload::Membership(membership))
        }
        _ => Err(Error::Corrupt("a log entry of an unknown kind")),
    }
}

/// A membership and the log id that set it.
pub(crate) fn encode_stored_membership(stored: &StoredMembership) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(STORED_MEMBERSHIP);
    match stored.log_id() {
        Some(id) => {
            out.put_u8(1);
            out.put_u64_le(id.leader_id.term);
            out.put_u64_le(id.index);
        }
        None => out.put_u8(0),
    }
    put_membership(&mut out, stored.membership());
    out.freeze()
}

/// The membership that the state machine kept; no bytes mean that none was ever applied.
///
/// # Errors
///
/// [`Error::Corrupt`].
pub(crate) fn decode_stored_membership(mut input: Bytes) -> Result<StoredMembership, Error> {
    if input.is_empty() {
        return Ok(StoredMembership::default());
    }
    let from = &mut input;
    if get_u8(from)? != STORED_MEMBERSHIP {
        return Err(Error::Corrupt("a stored membership of an unknown format"));
    }
    let id = match get_u8(from)? {
        0 => None,
        _ => Some(log_id(get_u64(from)?, get_u64(from)?)),
    };
    let membership = get_membership(from)?;
    finish(from, StoredMembership::new(id, membership))
}

/// A membership alone, as peers are sent it.
pub(crate) fn encode_membership(membership: &Membership) -> Bytes {
    let mut out = BytesMut::new();
    put_membership(&mut out, membership);
    out.freeze()
}

/// The membership in a peer's frame.
///
/// # Errors
///
/// [`Error::Corrupt`].
pub(crate) fn decode_membership(mut input: Bytes) -> Result<Membership, Error> {
    let membership = get_membership(&mut input)?;
    finish(&input, membership)
}

fn put_membership(out: &mut BytesMut, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_count(out, configs.len());
    for config in configs {
        put_count(out, config.len());
        for member in config {
            out.put_u64_le(*member);
        }
    }
    let nodes: Vec<_> = membership.nodes().collect();
    put_count(out, nodes.len());
    for (member, info) in nodes {
        out.put_u64_le(*member);
        put_text(out, &info.name);
        put_texts(out, &info.peer_urls);
        put_texts(out, &info.client_urls);
    }
}

fn put_texts(out: &mut BytesMut, texts: &[String]) {
    put_count(out, texts.len());
    texts.iter().for_each(|text| put_text(out, text));
}

fn put_text(out: &mut BytesMut, text: &str) {
    put_count(out, text.len());
    out.put_slice(text.as_bytes());
}

fn get_membership(from: &mut Bytes) -> Result<Membership, Error> {
    let mut configs = Vec::new();
    for _ in 0..get_u32(from)? {
        let mut config = BTreeSet::new();
        for _ in 0..get_u32(from)? {
            config.insert(get_u64(from)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..get_u32(from)? {
        let member = get_u64(from)?;
        nodes.insert(member, get_info(from)?);
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|_| Error::Corrupt("a membership whose voters are not among its nodes"))
}

fn get_info(from: &mut Bytes) -> Result<MemberInfo, Error> {
    Ok(MemberInfo { name: get_text(from)?, peer_urls: get_texts(from)?, client_urls: get_texts(from)? })
}

fn get_texts(from: &mut Bytes) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for _ in 0..get_u32(from)? {
        texts.push(get_text(from)?);
    }
    Ok(texts)
}

fn get_text(from: &mut Bytes) -> Result<String, Error> {
    let length = get_u32(from)? as usize;
    if from.remaining() < length {
        return Err(TRUNCATED);
    }
    let text = String::from_utf8(from.split_to(length).to_vec());
    text.map_err(|_| Error::Corrupt("a name or URL that is not UTF-8"))
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32_le(u32::try_from(count).expect("a membership counts members and URLs, not billions of them"));
}

const TRUNCATED: Error = Error::Corrupt("a record that ends early");

fn get_u8(from: &mut Bytes) -> Result<u8, Error> {
    from.try_get_u8().map_err(|_| TRUNCATED)
}

fn get_u32(from: &mut Bytes) -> Result<u32, Error> {
    from.try_get_u32_le().map_err(|_| TRUNCATED)
}

fn get_u64(from: &mut Bytes) -> Result<u64, Error> {
    from.try_get_u64_le().map_err(|_| TRUNCATED)
}

fn finish<T>(from: &Bytes, value: T) -> Result<T, Error> {
    if from.is_empty() { Ok(value) } else { Err(Error::Corrupt("a record with bytes behind its end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let peer = |port: u16| MemberInfo {
            name: format!("n{port}"),
            peer_urls: vec![format!("http://127.0.0.1:{port}"), format!("http://ü:{port}")],
            client_urls: vec![format!("http://127.0.0.1:{port}/")],
        };
        let nodes = BTreeMap::from([(1, peer(1)), (2, peer(2)), (u64::MAX, MemberInfo::default())]);
        Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2])], nodes).unwrap()
    }

    fn payloads() -> [Payload; 4] {
        let command = |bytes: &'static [u8]| Payload::Normal(Command(Bytes::from_static(bytes)));
        [Payload::Blank, command(b""), command(b"\x02 looks like a membership"), Payload::Membership(membership())]
    }

    #[test]
    fn payloads_come_back() {
        for payload in payloads() {
            assert_eq!(decode_payload(encode_payload(&payload)).unwrap(), payload);
        }
    }

    #[test]
    fn stored_memberships_come_back() {
        for stored in [
            StoredMembership::default(),
            StoredMembership::new(None, membership()),
            StoredMembership::new(Some(log_id(7, 9)), membership()),
        ] {
            assert_eq!(decode_stored_membership(encode_stored_membership(&stored)).unwrap(), stored);
        }
        assert_eq!(decode_stored_membership(Bytes::new()).unwrap(), StoredMembership::default());
    }

    #[test]
    fn what_ends_early_or_late_or_is_unknown_is_refused() {
        let payload = encode_payload(&Payload::Membership(membership()));
        let stored = encode_stored_membership(&StoredMembership::new(Some(log_id(7, 9)), membership()));
        for length in 0..payload.len() {
            decode_payload(payload.slice(..length)).unwrap_err();
        }
        for length in 1..stored.len() {
            decode_stored_membership(stored.slice(..length)).unwrap_err();
        }
        decode_payload([payload, Bytes::from_static(b"x")].concat().into()).unwrap_err();
        decode_payload(Bytes::from_static(&[BLANK, 0])).unwrap_err();
        decode_payload(Bytes::from_static(&[3])).unwrap_err();
        decode_stored_membership(Bytes::from_static(&[2])).unwrap_err();
        // A count that could not fit in memory.
        decode_payload(Bytes::from_static(&[MEMBERSHIP, 0xff, 0xff, 0xff, 0xff])).unwrap_err();
    }
}
