//! Endpoints: health, status, hashes.

use std::time::Duration;

use client::pb::{HashKvResponse, StatusResponse};

use super::go::{quoted, size};
use super::json::{Object, array, header, text};
use super::kv::fields_of_header;
use super::{Show, Style, Table};

/// How an endpoint is.
pub(crate) struct Health {
    pub(crate) endpoint: String,
    pub(crate) took: Duration,
    pub(crate) error: Option<String>,
}

/// How endpoints are. In the simple format, the ill ones are said on stderr.
pub(crate) struct Healths(pub(crate) Vec<Health>);

impl Show for Healths {
    fn simple(&self, _: Style) -> String {
        let well = self.0.iter().filter(|health| health.error.is_none());
        let line = |health: &Health| {
            format!("{} is healthy: successfully committed proposal: took = {:?}\n", health.endpoint, health.took)
        };
        well.map(line).collect()
    }

    fn fields(&self) -> Option<String> {
        let one = |health: &Health| {
            let (endpoint, error) = (quoted(health.endpoint.as_bytes()), health.error.as_deref().unwrap_or_default());
            let is_well = health.error.is_none();
            format!(
                "\"Endpoint\" : {endpoint}\n\"Health\" : {is_well}\n\"Took\" : {:?}\n\"Error\" : {error}\n\n",
                health.took
            )
        };
        Some(self.0.iter().map(one).collect())
    }

    fn json(&self, _: Style) -> Option<String> {
        let one = |health: &Health| {
            let object = Object::new()
                .raw("endpoint", text(&health.endpoint))
                .raw("health", health.error.is_none())
                .raw("took", text(&format!("{:?}", health.took)));
            object.text("error", health.error.as_deref().unwrap_or_default()).end()
        };
        Some(array(self.0.iter().map(one)))
    }

    fn table(&self) -> Option<Table> {
        let row = |health: &Health| {
            let error = health.error.clone().unwrap_or_default();
            vec![health.endpoint.clone(), health.error.is_none().to_string(), format!("{:?}", health.took), error]
        };
        Some(Table { head: &["Endpoint", "Health", "Took", "Error"], rows: self.0.iter().map(row).collect() })
    }
}

/// What endpoints say of themselves.
pub(crate) struct Statuses(pub(crate) Vec<(String, StatusResponse)>);

impl Show for Statuses {
    fn simple(&self, _: Style) -> String {
        self.table().map(|table| table.lines()).unwrap_or_default()
    }

    fn fields(&self) -> Option<String> {
        let one = |(endpoint, status): &(String, StatusResponse)| {
            let version = quoted(status.version.as_bytes());
            let endpoint = quoted(endpoint.as_bytes());
            format!(
                "{}\"Version\" : {version}\n\"DBSize\" : {}\n\"Leader\" : {}\n\"IsLearner\" : {}\n\"RaftIndex\" : {}\n\
                 \"RaftTerm\" : {}\n\"RaftAppliedIndex\" : {}\n\"Errors\" : [{}]\n\"Endpoint\" : {endpoint}\n\n",
                fields_of_header(status.header.as_ref()),
                status.db_size,
                status.leader,
                status.is_learner,
                status.raft_index,
                status.raft_term,
                status.raft_applied_index,
                status.errors.join(" "),
            )
        };
        Some(self.0.iter().map(one).collect())
    }

    fn json(&self, _: Style) -> Option<String> {
        let status = |status: &StatusResponse| {
            Object::new()
                .object("header", header(status.header.as_ref()))
                .text("version", &status.version)
                .number("dbSize", status.db_size)
                .number("leader", status.leader)
                .number("raftIndex", status.raft_index)
                .number("raftTerm", status.raft_term)
                .number("raftAppliedIndex", status.raft_applied_index)
                .list("errors", status.errors.iter().map(|error| text(error)))
                .number("dbSizeInUse", status.db_size_in_use)
                .flag("isLearner", status.is_learner)
                .end()
        };
        let one = |(endpoint, answer): &(String, StatusResponse)| {
            Object::new().raw("Endpoint", text(endpoint)).raw("Status", status(answer)).end()
        };
        Some(array(self.0.iter().map(one)))
    }

    fn table(&self) -> Option<Table> {
        let row = |(endpoint, status): &(String, StatusResponse)| {
            let member_id = status.header.map_or(0, |header| header.member_id);
            vec![
                endpoint.clone(),
                format!("{member_id:x}"),
                status.version.clone(),
                size(u64::try_from(status.db_size).unwrap_or(0)),
                (status.leader == member_id).to_string(),
                status.is_learner.to_string(),
                status.raft_term.to_string(),
                status.raft_index.to_string(),
                status.raft_applied_index.to_string(),
                status.errors.join(", "),
            ]
        };
        let head = &[
            "Endpoint",
            "ID",
            "Version",
            "DB Size",
            "Is Leader",
            "Is Learner",
            "Raft Term",
            "Raft Index",
            "Raft Applied Index",
            "Errors",
        ];
        Some(Table { head, rows: self.0.iter().map(row).collect() })
    }
}

/// The hashes of endpoints.
pub(crate) struct Hashes(pub(crate) Vec<(String, HashKvResponse)>);

impl Show for Hashes {
    fn simple(&self, _: Style) -> String {
        self.table().map(|table| table.lines()).unwrap_or_default()
    }

    fn fields(&self) -> Option<String> {
        let one = |(endpoint, hash): &(String, HashKvResponse)| {
            let header = fields_of_header(hash.header.as_ref());
            format!("{header}\"Endpoint\" : {}\n\"Hash\" : {}\n\n", quoted(endpoint.as_bytes()), hash.hash)
        };
        Some(self.0.iter().map(one).collect())
    }

    fn json(&self, _: Style) -> Option<String> {
        let hash = |hash: &HashKvResponse| {
            Object::new()
                .object("header", header(hash.header.as_ref()))
                .number("hash", hash.hash)
                .number("compact_revision", hash.compact_revision)
                .end()
        };
        let one = |(endpoint, answer): &(String, HashKvResponse)| {
            Object::new().raw("Endpoint", text(endpoint)).raw("HashKV", hash(answer)).end()
        };
        Some(array(self.0.iter().map(one)))
    }

    fn table(&self) -> Option<Table> {
        let rows = self.0.iter().map(|(endpoint, hash)| vec![endpoint.clone(), hash.hash.to_string()]).collect();
        Some(Table { head: &["Endpoint", "Hash"], rows })
    }
}
