//! Answers that are little more than a header, and members and alarms.

use client::pb::{AlarmResponse, AlarmType, Member, MemberListResponse, ResponseHeader};
use prost::Message as _;

use super::go::quoted;
use super::json::{Object, header, member, member_header};
use super::kv::fields_of_header;
use super::{Show, Style, Table};

/// An answer that is a header and a sentence.
pub(crate) struct Done {
    pub(crate) text: String,
    pub(crate) header: Option<ResponseHeader>,
    /// Members, where the answer has them too, and which of them it is about.
    pub(crate) members: Option<(Vec<Member>, Option<Member>)>,
    pub(crate) protobuf: Vec<u8>,
}

impl Done {
    pub(crate) fn new(text: String, header: Option<ResponseHeader>, message: &impl prost::Message) -> Self {
        Self { text, header, members: None, protobuf: message.encode_to_vec() }
    }
}

impl Show for Done {
    fn simple(&self, _: Style) -> String {
        format!("{}\n", self.text)
    }

    fn fields(&self) -> Option<String> {
        self.members.is_none().then(|| fields_of_header(self.header.as_ref()))
    }

    fn json(&self, style: Style) -> Option<String> {
        let Some((members, own)) = &self.members else {
            return Some(Object::new().object("header", header(self.header.as_ref())).end());
        };
        let object = Object::new()
            .object("header", member_header(self.header.as_ref(), style))
            .object("member", own.as_ref().map(|own| member(own, style)))
            .list("members", members.iter().map(|one| member(one, style)));
        Some(object.end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.protobuf.clone())
    }
}

impl Show for MemberListResponse {
    fn simple(&self, _: Style) -> String {
        self.table().map(|table| table.lines()).unwrap_or_default()
    }

    fn fields(&self) -> Option<String> {
        let urls = |name: &str, urls: &[String]| {
            urls.iter().map(|url| format!("\"{name}\" : {}\n", quoted(url.as_bytes()))).collect::<String>()
        };
        let member = |member: &Member| {
            let (name, peers) = (quoted(member.name.as_bytes()), urls("PeerURL", &member.peer_ur_ls));
            let clients = urls("ClientURL", &member.client_ur_ls);
            format!(
                "\"ID\" : {}\n\"Name\" : {name}\n{peers}{clients}\"IsLearner\" : {}\n\n",
                member.id, member.is_learner
            )
        };
        Some(fields_of_header(self.header.as_ref()) + &self.members.iter().map(member).collect::<String>())
    }

    fn json(&self, style: Style) -> Option<String> {
        let object = Object::new()
            .object("header", member_header(self.header.as_ref(), style))
            .list("members", self.members.iter().map(|one| member(one, style)));
        Some(object.end())
    }

    fn table(&self) -> Option<Table> {
        let row = |member: &Member| {
            let status = if member.name.is_empty() { "unstarted" } else { "started" };
            vec![
                format!("{:x}", member.id),
                status.to_owned(),
                member.name.clone(),
                member.peer_ur_ls.join(","),
                member.client_ur_ls.join(","),
                member.is_learner.to_string(),
            ]
        };
        let head = &["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"];
        Some(Table { head, rows: self.members.iter().map(row).collect() })
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}

impl Show for AlarmResponse {
    fn simple(&self, _: Style) -> String {
        let line = |alarm: &client::pb::AlarmMember| {
            let name = alarm.alarm().as_str_name();
            match alarm.alarm() {
                AlarmType::None => format!("memberID:{} \n", alarm.member_id),
                AlarmType::Nospace | AlarmType::Corrupt => format!("memberID:{} alarm:{name} \n", alarm.member_id),
            }
        };
        self.alarms.iter().map(line).collect()
    }

    fn fields(&self) -> Option<String> {
        let one = |alarm: &client::pb::AlarmMember| {
            format!("\"MemberID\" : {}\n\"AlarmType\" : {}\n\n", alarm.member_id, alarm.alarm().as_str_name())
        };
        Some(fields_of_header(self.header.as_ref()) + &self.alarms.iter().map(one).collect::<String>())
    }

    fn json(&self, _: Style) -> Option<String> {
        let one = |alarm: &client::pb::AlarmMember| {
            Object::new().number("memberID", alarm.member_id).number("alarm", alarm.alarm).end()
        };
        let object = Object::new().object("header", header(self.header.as_ref()));
        Some(object.list("alarms", self.alarms.iter().map(one)).end())
    }

    fn protobuf(&self) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }
}
