//! Binary form of an [`AuthCommand`], behind the tag of all of them.
//!
//! ```text
//! auth        = kind:u8 fields             kinds below, each once and for ever
//! text        = bytes, UTF-8
//! permission  = access:u8 key:bytes range_end:bytes
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{
    CodecError, get_bytes, get_range_of_keys, get_u8, get_u64, malformed, put_bytes, put_range_of_keys,
};
use crate::{Access, AuthCommand, Permission, TokenDigest};

mod kind {
    pub(super) const ENABLE: u8 = 1;
    pub(super) const DISABLE: u8 = 2;
    pub(super) const USER_ADD: u8 = 3;
    pub(super) const USER_ADD_WITHOUT_PASSWORD: u8 = 4;
    pub(super) const USER_DELETE: u8 = 5;
    pub(super) const USER_CHANGE_PASSWORD: u8 = 6;
    pub(super) const USER_GRANT_ROLE: u8 = 7;
    pub(super) const USER_REVOKE_ROLE: u8 = 8;
    pub(super) const ROLE_ADD: u8 = 9;
    pub(super) const ROLE_DELETE: u8 = 10;
    pub(super) const ROLE_GRANT_PERMISSION: u8 = 11;
    pub(super) const ROLE_REVOKE_PERMISSION: u8 = 12;
    pub(super) const GRANT_TOKEN: u8 = 13;
}

pub(crate) fn put_auth(out: &mut BytesMut, command: &AuthCommand) {
    match command {
        AuthCommand::Enable => out.put_u8(kind::ENABLE),
        AuthCommand::Disable => out.put_u8(kind::DISABLE),
        AuthCommand::UserAdd { name, password: Some(password) } => put_fields(out, kind::USER_ADD, name, password),
        AuthCommand::UserAdd { name, password: None } => put_name(out, kind::USER_ADD_WITHOUT_PASSWORD, name),
        AuthCommand::UserDelete { name } => put_name(out, kind::USER_DELETE, name),
        AuthCommand::UserChangePassword { name, password } => {
            put_fields(out, kind::USER_CHANGE_PASSWORD, name, password);
        }
        AuthCommand::UserGrantRole { user, role } => put_fields(out, kind::USER_GRANT_ROLE, user, role.as_bytes()),
        AuthCommand::UserRevokeRole { user, role } => put_fields(out, kind::USER_REVOKE_ROLE, user, role.as_bytes()),
        AuthCommand::RoleAdd { name } => put_name(out, kind::ROLE_ADD, name),
        AuthCommand::RoleDelete { name } => put_name(out, kind::ROLE_DELETE, name),
        AuthCommand::RoleGrantPermission { role, permission } => {
            put_name(out, kind::ROLE_GRANT_PERMISSION, role);
            out.put_u8(match permission.access {
                Access::Read => 0,
                Access::Write => 1,
                Access::ReadWrite => 2,
            });
            put_range_of_keys(out, &permission.range);
        }
        AuthCommand::RoleRevokePermission { role, range } => {
            put_name(out, kind::ROLE_REVOKE_PERMISSION, role);
            put_range_of_keys(out, range);
        }
        AuthCommand::GrantToken { user, token, auth_revision } => {
            put_fields(out, kind::GRANT_TOKEN, user, &token.0);
            out.put_u64_le(*auth_revision);
        }
    }
}

fn put_name(out: &mut BytesMut, kind: u8, name: &str) {
    out.put_u8(kind);
    put_bytes(out, name.as_bytes());
}

fn put_fields(out: &mut BytesMut, kind: u8, name: &str, second: &[u8]) {
    put_name(out, kind, name);
    put_bytes(out, second);
}

pub(crate) fn get_auth(from: &mut Bytes) -> Result<AuthCommand, CodecError> {
    Ok(match get_u8(from)? {
        kind::ENABLE => AuthCommand::Enable,
        kind::DISABLE => AuthCommand::Disable,
        kind::USER_ADD => AuthCommand::UserAdd { name: get_text(from)?, password: Some(get_bytes(from)?) },
        kind::USER_ADD_WITHOUT_PASSWORD => AuthCommand::UserAdd { name: get_text(from)?, password: None },
        kind::USER_DELETE => AuthCommand::UserDelete { name: get_text(from)? },
        kind::USER_CHANGE_PASSWORD => {
            AuthCommand::UserChangePassword { name: get_text(from)?, password: get_bytes(from)? }
        }
        kind::USER_GRANT_ROLE => AuthCommand::UserGrantRole { user: get_text(from)?, role: get_text(from)? },
        kind::USER_REVOKE_ROLE => AuthCommand::UserRevokeRole { user: get_text(from)?, role: get_text(from)? },
        kind::ROLE_ADD => AuthCommand::RoleAdd { name: get_text(from)? },
        kind::ROLE_DELETE => AuthCommand::RoleDelete { name: get_text(from)? },
        kind::ROLE_GRANT_PERMISSION => {
            let role = get_text(from)?;
            let access = match get_u8(from)? {
                0 => Access::Read,
                1 => Access::Write,
                2 => Access::ReadWrite,
                _ => return Err(malformed("unknown access")),
            };
            let permission = Permission { access, range: get_range_of_keys(from)? };
            AuthCommand::RoleGrantPermission { role, permission }
        }
        kind::ROLE_REVOKE_PERMISSION => {
            AuthCommand::RoleRevokePermission { role: get_text(from)?, range: get_range_of_keys(from)? }
        }
        kind::GRANT_TOKEN => {
            let user = get_text(from)?;
            let token = get_bytes(from)?.as_ref().try_into().map_err(|_| malformed("a digest of another length"))?;
            AuthCommand::GrantToken { user, token: TokenDigest(token), auth_revision: get_u64(from)? }
        }
        _ => return Err(malformed("unknown change of the auth store")),
    })
}

fn get_text(from: &mut Bytes) -> Result<String, CodecError> {
    String::from_utf8(get_bytes(from)?.into()).map_err(|_| malformed("a name is not UTF-8"))
}
