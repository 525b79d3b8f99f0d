//! Compare-and-set: the transaction that clients build everything else from.

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, PutRequest, RequestOp, TxnRequest};

use super::{Plan, preload};
use crate::connection::Connection;
use crate::keys::KeySpace;
use crate::load::{Operation, drive};
use crate::sample::{Failure, Sample};
use crate::servers::Server;

/// Concurrent clients, each on a key of its own: no transaction may find its key changed.
const CLIENTS: usize = 64;

/// `mod_revision` is what this client's last put made it? Then put again.
pub(super) async fn compare_and_set(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    preload::load(server, plan, &plan.keys).await?;
    let connections = plan.connect(server, CLIENTS).await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut kv = connections.kv(number);
        let key = Bytes::from(format!("cas/{number}"));
        let put = PutRequest { key: key.clone(), ..PutRequest::default() };
        let header = kv.put(put).await?.into_inner().header.unwrap_or_default();
        clients.push(Client { kv, key, revision: header.revision, keys: plan.keys.clone(), turn: number });
    }
    Ok(drive(clients, || server.usage(), plan.window).await?.plain_sample())
}

struct Client {
    kv: KvClient<Connection>,
    key: Bytes,
    revision: i64,
    keys: KeySpace,
    turn: usize,
}

impl Client {
    fn request(&self) -> TxnRequest {
        let unchanged = Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: self.key.clone(),
            target_union: Some(TargetUnion::ModRevision(self.revision)),
            ..Compare::default()
        };
        let put = PutRequest { key: self.key.clone(), value: self.keys.value(self.turn), ..PutRequest::default() };
        TxnRequest {
            compare: vec![unchanged],
            success: vec![RequestOp { request: Some(Request::RequestPut(put)) }],
            failure: vec![],
        }
    }
}

impl Operation for Client {
    async fn call(&mut self) -> Result<(), Failure> {
        self.turn = self.turn.wrapping_add(1);
        let answer = self.kv.txn(self.request()).await?.into_inner();
        if !answer.succeeded {
            return Err(Failure::broken("a key changed that nobody else writes"));
        }
        self.revision = answer.header.unwrap_or_default().revision;
        Ok(())
    }
}
