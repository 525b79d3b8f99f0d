//! JSON as Go writes etcd's messages: fields in their order, those at zero left out, bytes in base64, numbers as numbers.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::pb::{KeyValue, Member, ResponseHeader};

use super::Style;

/// An object that is being written.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A value that is JSON already, whatever it is.
    pub(crate) fn raw(mut self, name: &str, json: impl Display) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":{json}");
        self
    }

    /// A number, unless it is zero.
    pub(crate) fn number<T: Display + Default + PartialEq>(self, name: &str, value: T) -> Self {
        if value == T::default() { self } else { self.raw(name, value) }
    }

    /// A text, unless it is empty.
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.raw(name, text(value)) }
    }

    /// Bytes, unless there are none.
    pub(crate) fn bytes(self, name: &str, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.raw(name, bytes(value)) }
    }

    /// `true`, or nothing.
    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        if value { self.raw(name, "true") } else { self }
    }

    /// A list, unless it is empty.
    pub(crate) fn list(self, name: &str, items: impl IntoIterator<Item = String>) -> Self {
        let json = array(items);
        if json == "[]" { self } else { self.raw(name, json) }
    }

    /// An object, if there is one.
    pub(crate) fn object(self, name: &str, object: Option<String>) -> Self {
        match object {
            Some(object) => self.raw(name, object),
            None => self,
        }
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A list of values that are JSON already.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// A text, with the letters escaped that Go escapes for the sake of HTML.
pub(crate) fn text(value: &str) -> String {
    let json = serde_json::Value::from(value).to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Bytes in base64.
pub(crate) fn bytes(value: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(value))
}

/// The fields of a header.
pub(crate) fn header_fields(object: Object, header: Option<&ResponseHeader>) -> Object {
    let Some(header) = header else { return object };
    object
        .number("cluster_id", header.cluster_id)
        .number("member_id", header.member_id)
        .number("revision", header.revision)
        .number("raft_term", header.raft_term)
}

/// A header.
pub(crate) fn header(header: Option<&ResponseHeader>) -> Option<String> {
    header.map(|header| header_fields(Object::new(), Some(header)).end())
}

/// A key with what belongs to it.
pub(crate) fn key_value(kv: &KeyValue) -> String {
    Object::new()
        .bytes("key", &kv.key)
        .number("create_revision", kv.create_revision)
        .number("mod_revision", kv.mod_revision)
        .number("version", kv.version)
        .bytes("value", &kv.value)
        .number("lease", kv.lease)
        .end()
}

/// A member; its id in hexadecimal, if that is the style, and then it comes first whatever it is.
pub(crate) fn member(member: &Member, style: Style) -> String {
    let object = if style.hex {
        Object::new().raw("ID", text(&format!("{:x}", member.id)))
    } else {
        Object::new().number("ID", member.id)
    };
    let urls = |urls: &[String]| urls.iter().map(|url| text(url)).collect::<Vec<_>>();
    object
        .text("name", &member.name)
        .list("peerURLs", urls(&member.peer_ur_ls))
        .list("clientURLs", urls(&member.client_ur_ls))
        .flag("isLearner", member.is_learner)
        .end()
}

/// The header of an answer about members, whose ids may be wanted in hexadecimal.
pub(crate) fn member_header(header: Option<&ResponseHeader>, style: Style) -> Option<String> {
    let header = header?;
    if !style.hex {
        return self::header(Some(header));
    }
    let object = Object::new()
        .raw("cluster_id", text(&format!("{:x}", header.cluster_id)))
        .raw("member_id", text(&format!("{:x}", header.member_id)))
        .number("revision", header.revision)
        .number("raft_term", header.raft_term);
    Some(object.end())
}
