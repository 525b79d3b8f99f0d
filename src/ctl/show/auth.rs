//! Users, roles and whether they matter.

use client::pb::{
    AuthRoleGetResponse, AuthRoleListResponse, AuthStatusResponse, AuthUserGetResponse, AuthUserListResponse,
    Permission, permission,
};
use client::request::prefix_end;
use prost::Message as _;

use super::go::quoted;
use super::json::{Object, header, text};
use super::kv::fields_of_header;
use super::{Show, Style};

impl Show for AuthStatusResponse {
    fn simple(&self, _: Style) -> String {
        format!("Authentication Status: {}\nAuthRevision: {}\n", self.enabled, self.auth_revision)
    }

    fn fields(&self) -> Option<String> {
        None
    }

    fn json(&self, _: Style) -> Option<String> {
        let object = Object::new().object("header", header(self.header.as_ref())).flag("enabled", self.enabled);
        Some(object.number("authRevision", self.auth_revision).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

/// A user, and what it may.
pub(crate) struct UserShown<'a> {
    pub(crate) name: &'a str,
    pub(crate) response: &'a AuthUserGetResponse,
}

impl Show for UserShown<'_> {
    fn simple(&self, _: Style) -> String {
        let roles: String = self.response.roles.iter().map(|role| format!(" {role}")).collect();
        format!("User: {}\nRoles:{roles}\n", self.name)
    }

    fn fields(&self) -> Option<String> {
        None
    }

    fn json(&self, _: Style) -> Option<String> {
        let roles = self.response.roles.iter().map(|role| text(role));
        Some(Object::new().object("header", header(self.response.header.as_ref())).list("roles", roles).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.response.encode_to_vec())
    }
}

impl Show for AuthUserListResponse {
    fn simple(&self, _: Style) -> String {
        self.users.iter().map(|user| format!("{user}\n")).collect()
    }

    fn fields(&self) -> Option<String> {
        None
    }

    fn json(&self, _: Style) -> Option<String> {
        let users = self.users.iter().map(|user| text(user));
        Some(Object::new().object("header", header(self.header.as_ref())).list("users", users).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

impl Show for AuthRoleListResponse {
    fn simple(&self, _: Style) -> String {
        self.roles.iter().map(|role| format!("{role}\n")).collect()
    }

    fn fields(&self) -> Option<String> {
        let roles: String = self.roles.iter().map(|role| format!(" {}", quoted(role.as_bytes()))).collect();
        Some(format!("{}\"Roles\" :{roles}\n", fields_of_header(self.header.as_ref())))
    }

    fn json(&self, _: Style) -> Option<String> {
        let roles = self.roles.iter().map(|role| text(role));
        Some(Object::new().object("header", header(self.header.as_ref())).list("roles", roles).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

/// A role with what it permits.
pub(crate) struct RoleShown<'a> {
    pub(crate) name: &'a str,
    pub(crate) response: &'a AuthRoleGetResponse,
}

/// A range of keys, as roles show it.
pub(crate) fn range(key: &[u8], end: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    match end {
        b"\0" => format!("[{key}, <open ended>"),
        end => format!("[{key}, {})", String::from_utf8_lossy(end)),
    }
}

impl Show for RoleShown<'_> {
    fn simple(&self, _: Style) -> String {
        let line = |permission: &Permission| {
            let (key, end) = (&permission.key, &permission.range_end);
            if end.is_empty() {
                return format!("\t{}\n", String::from_utf8_lossy(key));
            }
            let prefix = if prefix_end(key) == *end {
                format!(" (prefix {})", String::from_utf8_lossy(key))
            } else {
                String::new()
            };
            format!("\t{}{prefix}\n", range(key, end))
        };
        let of = |kind: permission::Type| {
            let is = move |permission: &&Permission| {
                permission.perm_type() == kind || permission.perm_type() == permission::Type::Readwrite
            };
            self.response.perm.iter().filter(is).map(line).collect::<String>()
        };
        let (read, write) = (of(permission::Type::Read), of(permission::Type::Write));
        format!("Role {}\nKV Read:\n{read}KV Write:\n{write}", self.name)
    }

    fn fields(&self) -> Option<String> {
        let one = |permission: &Permission| {
            let (key, end) = (quoted(&permission.key), quoted(&permission.range_end));
            // The two blanks are etcdctl's.
            format!("\"PermType\" :  {}\n\"Key\" : {key}\n\"RangeEnd\" : {end}\n", permission.perm_type().as_str_name())
        };
        let permissions: String = self.response.perm.iter().map(one).collect();
        Some(fields_of_header(self.response.header.as_ref()) + &permissions)
    }

    fn json(&self, _: Style) -> Option<String> {
        let one = |permission: &Permission| {
            Object::new()
                .number("permType", permission.perm_type)
                .bytes("key", &permission.key)
                .bytes("range_end", &permission.range_end)
                .end()
        };
        let object = Object::new().object("header", header(self.response.header.as_ref()));
        Some(object.list("perm", self.response.perm.iter().map(one)).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.response.encode_to_vec())
    }
}
