//! How the auth store is kept among the facts.
//!
//! ```text
//! name                value
//! auth/store          enabled:u8 revision:u64
//! auth/role/NAME      permissions, each access:u8 key:bytes range_end:bytes
//! auth/user/NAME      has_password:u8 password:bytes roles, each bytes
//!
//! access    = 0 read, 1 write, 2 both
//! bytes     = length:u32 octets; integers are big-endian; lists go on to the end of the value
//! ```

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{AUTH_NAME_BYTES_MAX, Access};

use crate::Fault;
use crate::auth::{Role, User};
use crate::facts::FACT_NAME_BYTES_MAX;

/// Name of the fact about the store as a whole.
pub(crate) const STORE: &[u8] = b"auth/store";
/// What names of facts about roles begin with.
pub(crate) const ROLES: &[u8] = b"auth/role/";
/// What names of facts about users begin with.
pub(crate) const USERS: &[u8] = b"auth/user/";

const _: () = assert!(AUTH_NAME_BYTES_MAX + ROLES.len() <= FACT_NAME_BYTES_MAX, "every name is one of a fact");

const DAMAGED: Fault = Fault::Damaged("fact about users and roles");

/// The name of the fact about `name`.
pub(crate) fn name_under(prefix: &[u8], name: &str) -> Bytes {
    Bytes::from([prefix, name.as_bytes()].concat())
}

pub(crate) fn decode_name(prefix: &[u8], name: &[u8]) -> Result<String, Fault> {
    let name = name.strip_prefix(prefix).ok_or(DAMAGED)?;
    String::from_utf8(name.to_vec()).map_err(|_| DAMAGED)
}

pub(crate) fn store_record(enabled: bool, revision: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(9);
    out.put_u8(u8::from(enabled));
    out.put_u64(revision);
    out.freeze()
}

pub(crate) fn decode_store(mut record: &[u8]) -> Result<(bool, u64), Fault> {
    if record.len() != 9 {
        return Err(DAMAGED);
    }
    Ok((record.get_u8() == 1, record.get_u64()))
}

pub(crate) fn role_record(role: &Role) -> Bytes {
    let mut out = BytesMut::new();
    for ((key, range_end), access) in &role.permissions {
        out.put_u8(match access {
            Access::Read => 0,
            Access::Write => 1,
            Access::ReadWrite => 2,
        });
        put_bytes(&mut out, key);
        put_bytes(&mut out, range_end);
    }
    out.freeze()
}

pub(crate) fn decode_role(record: &Bytes) -> Result<Role, Fault> {
    let mut rest = record.clone();
    let mut role = Role::default();
    while rest.has_remaining() {
        let access = match rest.get_u8() {
            0 => Access::Read,
            1 => Access::Write,
            2 => Access::ReadWrite,
            _ => return Err(DAMAGED),
        };
        role.permissions.insert((get_bytes(&mut rest)?, get_bytes(&mut rest)?), access);
    }
    Ok(role)
}

pub(crate) fn user_record(user: &User) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(u8::from(user.password.is_some()));
    put_bytes(&mut out, user.password.as_deref().unwrap_or_default());
    for role in &user.roles {
        put_bytes(&mut out, role.as_bytes());
    }
    out.freeze()
}

/// Password and roles of a user.
pub(crate) fn decode_user(record: &Bytes) -> Result<(Option<Bytes>, BTreeSet<String>), Fault> {
    let mut rest = record.clone();
    let has_password = rest.try_get_u8().map_err(|_| DAMAGED)? == 1;
    let password = Some(get_bytes(&mut rest)?).filter(|_| has_password);
    let mut roles = BTreeSet::new();
    while rest.has_remaining() {
        roles.insert(String::from_utf8(get_bytes(&mut rest)?.into()).map_err(|_| DAMAGED)?);
    }
    Ok((password, roles))
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).expect("a field of a request that was admitted is far below 4 GiB"));
    out.put_slice(bytes);
}

fn get_bytes(from: &mut Bytes) -> Result<Bytes, Fault> {
    let length = from.try_get_u32().map_err(|_| DAMAGED)? as usize;
    if length > from.remaining() {
        return Err(DAMAGED);
    }
    Ok(from.split_to(length))
}
