//! Leases.

use client::pb::{LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseTimeToLiveResponse};

use super::go::quoted;
use super::json::{Object, array, bytes, header_fields, text};
use super::kv::fields_of_header;
use super::{Show, Style};

impl Show for LeaseGrantResponse {
    fn simple(&self, _: Style) -> String {
        format!("lease {:016x} granted with TTL({}s)\n", self.id, self.ttl)
    }

    fn fields(&self) -> Option<String> {
        Some(format!("{}\"ID\" : {}\n\"TTL\" : {}\n", fields_of_header(self.header.as_ref()), self.id, self.ttl))
    }

    fn json(&self, _: Style) -> Option<String> {
        let object = header_fields(Object::new(), self.header.as_ref());
        Some(object.raw("ID", self.id).raw("TTL", self.ttl).raw("Error", text(&self.error)).end())
    }
}

impl Show for LeaseKeepAliveResponse {
    fn simple(&self, _: Style) -> String {
        format!("lease {:016x} keepalived with TTL({})\n", self.id, self.ttl)
    }

    fn fields(&self) -> Option<String> {
        Some(format!("{}\"ID\" : {}\n\"TTL\" : {}\n", fields_of_header(self.header.as_ref()), self.id, self.ttl))
    }

    fn json(&self, _: Style) -> Option<String> {
        Some(header_fields(Object::new(), self.header.as_ref()).raw("ID", self.id).raw("TTL", self.ttl).end())
    }
}

/// What is known of a lease, with its keys or without.
pub(crate) struct Remaining<'a> {
    pub(crate) response: &'a LeaseTimeToLiveResponse,
    pub(crate) with_keys: bool,
}

impl Show for Remaining<'_> {
    fn simple(&self, _: Style) -> String {
        let LeaseTimeToLiveResponse { id, ttl, granted_ttl, keys, .. } = self.response;
        if (*granted_ttl, *ttl) == (0, -1) {
            return format!("lease {id:016x} already expired\n");
        }
        let keys: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
        let keys = if self.with_keys { format!(", attached keys([{}])", keys.join(" ")) } else { String::new() };
        format!("lease {id:016x} granted with TTL({granted_ttl}s), remaining({ttl}s){keys}\n")
    }

    fn fields(&self) -> Option<String> {
        let response = self.response;
        let keys: String = response.keys.iter().map(|key| format!("\"Key\" : {}\n", quoted(key))).collect();
        let header = fields_of_header(response.header.as_ref());
        let (id, ttl, granted) = (response.id, response.ttl, response.granted_ttl);
        Some(format!("{header}\"ID\" : {id}\n\"TTL\" : {ttl}\n\"GrantedTTL\" : {granted}\n{keys}"))
    }

    fn json(&self, _: Style) -> Option<String> {
        let response = self.response;
        let keys = response.keys.iter().map(|key| bytes(key));
        let keys = if response.keys.is_empty() { "null".to_owned() } else { array(keys) };
        let object = header_fields(Object::new(), response.header.as_ref())
            .raw("id", response.id)
            .raw("ttl", response.ttl)
            .raw("granted-ttl", response.granted_ttl)
            .raw("keys", keys);
        Some(object.end())
    }
}

impl Show for LeaseLeasesResponse {
    fn simple(&self, _: Style) -> String {
        let leases: String = self.leases.iter().map(|lease| format!("{:016x}\n", lease.id)).collect();
        format!("found {} leases\n{leases}", self.leases.len())
    }

    fn fields(&self) -> Option<String> {
        let leases: String = self.leases.iter().map(|lease| format!("\"ID\" : {}\n", lease.id)).collect();
        Some(fields_of_header(self.header.as_ref()) + &leases)
    }

    fn json(&self, _: Style) -> Option<String> {
        let leases = self.leases.iter().map(|lease| Object::new().raw("id", lease.id).end());
        Some(header_fields(Object::new(), self.header.as_ref()).raw("leases", array(leases)).end())
    }
}
