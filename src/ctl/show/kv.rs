//! Keys: reads, writes, deletions, transactions and events.

use std::fmt::Write as _;

use client::pb::event::EventType;
use client::pb::response_op::Response;
use client::pb::{
    DeleteRangeResponse, Event, KeyValue, PutResponse, RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
    WatchResponse,
};
use prost::Message as _;

use super::go::quoted;
use super::json::{Object, array, header, header_fields, key_value};
use super::{Show, Style};

fn lossy(bytes: &[u8], style: Style) -> Vec<u8> {
    if style.hex {
        bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect()
    } else {
        bytes.to_vec()
    }
}

/// A key and its value, a line each. What is no text is shown as far as it is one.
fn simple_of(kv: &KeyValue, style: Style) -> String {
    let line = |bytes: &[u8]| format!("{}\n", String::from_utf8_lossy(&lossy(bytes, style)));
    if style.value_only { line(&kv.value) } else { line(&kv.key) + &line(&kv.value) }
}

fn fields_of(prefix: &str, kv: &KeyValue) -> String {
    format!(
        "\"{prefix}Key\" : {}\n\"{prefix}CreateRevision\" : {}\n\"{prefix}ModRevision\" : {}\n\"{prefix}Version\" : {}\n\
         \"{prefix}Value\" : {}\n\"{prefix}Lease\" : {}\n",
        quoted(&kv.key),
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        quoted(&kv.value),
        kv.lease
    )
}

/// The fields of a header, a line each.
pub(crate) fn fields_of_header(header: Option<&ResponseHeader>) -> String {
    let header = header.copied().unwrap_or_default();
    format!(
        "\"ClusterID\" : {}\n\"MemberID\" : {}\n\"Revision\" : {}\n\"RaftTerm\" : {}\n",
        header.cluster_id, header.member_id, header.revision, header.raft_term
    )
}

impl Show for RangeResponse {
    fn simple(&self, style: Style) -> String {
        self.kvs.iter().map(|kv| simple_of(kv, style)).collect()
    }

    fn fields(&self) -> Option<String> {
        let kvs: String = self.kvs.iter().map(|kv| fields_of("", kv)).collect();
        let header = fields_of_header(self.header.as_ref());
        Some(format!("{header}{kvs}\"More\" : {}\n\"Count\" : {}\n", self.more, self.count))
    }

    fn json(&self, _: Style) -> Option<String> {
        let object = Object::new()
            .object("header", header(self.header.as_ref()))
            .list("kvs", self.kvs.iter().map(key_value))
            .flag("more", self.more)
            .number("count", self.count);
        Some(object.end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

impl Show for PutResponse {
    fn simple(&self, style: Style) -> String {
        let previous = self.prev_kv.as_ref().map(|kv| simple_of(kv, style)).unwrap_or_default();
        format!("OK\n{previous}")
    }

    fn fields(&self) -> Option<String> {
        let previous = self.prev_kv.as_ref().map(|kv| fields_of("Prev", kv)).unwrap_or_default();
        Some(fields_of_header(self.header.as_ref()) + &previous)
    }

    fn json(&self, _: Style) -> Option<String> {
        let object = Object::new().object("header", header(self.header.as_ref()));
        Some(object.object("prev_kv", self.prev_kv.as_ref().map(key_value)).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

impl Show for DeleteRangeResponse {
    fn simple(&self, style: Style) -> String {
        let previous: String = self.prev_kvs.iter().map(|kv| simple_of(kv, style)).collect();
        format!("{}\n{previous}", self.deleted)
    }

    fn fields(&self) -> Option<String> {
        let previous: String = self.prev_kvs.iter().map(|kv| fields_of("Prev", kv)).collect();
        Some(format!("{}\"Deleted\" : {}\n{previous}", fields_of_header(self.header.as_ref()), self.deleted))
    }

    fn json(&self, _: Style) -> Option<String> {
        let object = Object::new()
            .object("header", header(self.header.as_ref()))
            .number("deleted", self.deleted)
            .list("prev_kvs", self.prev_kvs.iter().map(key_value));
        Some(object.end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

impl Show for TxnResponse {
    fn simple(&self, style: Style) -> String {
        let mut out = String::from(if self.succeeded { "SUCCESS\n" } else { "FAILURE\n" });
        for op in &self.responses {
            out.push('\n');
            out.push_str(&match &op.response {
                Some(Response::ResponseRange(range)) => range.simple(style),
                Some(Response::ResponsePut(put)) => put.simple(style),
                Some(Response::ResponseDeleteRange(delete)) => delete.simple(style),
                Some(Response::ResponseTxn(txn)) => txn.simple(style),
                None => String::new(),
            });
        }
        out
    }

    fn fields(&self) -> Option<String> {
        let mut out = fields_of_header(self.header.as_ref());
        // Writing to a string does not fail.
        let _ = writeln!(out, "\"Succeeded\" : {}", self.succeeded);
        for op in &self.responses {
            let fields = match &op.response {
                Some(Response::ResponseRange(range)) => range.fields(),
                Some(Response::ResponsePut(put)) => put.fields(),
                Some(Response::ResponseDeleteRange(delete)) => delete.fields(),
                Some(Response::ResponseTxn(txn)) => txn.fields(),
                None => None,
            };
            out.push_str(&fields.unwrap_or_default());
        }
        Some(out)
    }

    fn json(&self, style: Style) -> Option<String> {
        let object = Object::new()
            .object("header", header(self.header.as_ref()))
            .flag("succeeded", self.succeeded)
            .list("responses", self.responses.iter().map(|op| op_json(op, style)));
        Some(object.end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

/// An answer within a transaction. Go knows it by the name of its own type.
fn op_json(op: &ResponseOp, style: Style) -> String {
    let (name, json) = match &op.response {
        Some(Response::ResponseRange(range)) => ("ResponseRange", range.json(style)),
        Some(Response::ResponsePut(put)) => ("ResponsePut", put.json(style)),
        Some(Response::ResponseDeleteRange(delete)) => ("ResponseDeleteRange", delete.json(style)),
        Some(Response::ResponseTxn(txn)) => ("ResponseTxn", txn.json(style)),
        None => return Object::new().raw("Response", "null").end(),
    };
    Object::new().raw("Response", Object::new().object(name, json).end()).end()
}

/// A response of a watch.
pub(crate) struct Watched<'a>(pub(crate) &'a WatchResponse);

impl Show for Watched<'_> {
    fn simple(&self, style: Style) -> String {
        let event = |event: &Event| {
            let previous = event.prev_kv.as_ref().map(|kv| simple_of(kv, style)).unwrap_or_default();
            let kv = event.kv.as_ref().map(|kv| simple_of(kv, style)).unwrap_or_default();
            format!("{}\n{previous}{kv}", event.r#type().as_str_name())
        };
        self.0.events.iter().map(event).collect()
    }

    fn fields(&self) -> Option<String> {
        let event = |event: &Event| {
            let previous = event.prev_kv.as_ref().map(|kv| fields_of("Prev", kv)).unwrap_or_default();
            let kv = event.kv.as_ref().map(|kv| fields_of("", kv)).unwrap_or_default();
            format!("\"Type\" : {}\n{previous}{kv}", event.r#type().as_str_name())
        };
        Some(fields_of_header(self.0.header.as_ref()) + &self.0.events.iter().map(event).collect::<String>())
    }

    fn json(&self, _: Style) -> Option<String> {
        let event = |event: &Event| {
            let object = if event.r#type() == EventType::Put { Object::new() } else { Object::new().raw("type", 1) };
            let object = object.object("kv", event.kv.as_ref().map(key_value));
            object.object("prev_kv", event.prev_kv.as_ref().map(key_value)).end()
        };
        let events = if self.0.events.is_empty() { "null".to_owned() } else { array(self.0.events.iter().map(event)) };
        let object = Object::new()
            .raw("Header", header_fields(Object::new(), self.0.header.as_ref()).end())
            .raw("Events", events)
            .raw("CompactRevision", self.0.compact_revision)
            .raw("Canceled", self.0.canceled)
            .raw("Created", self.0.created);
        Some(object.end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.0.events.iter().flat_map(prost::Message::encode_to_vec).collect())
    }
}
