//! Puts, gets, ranges, and a mix of them.

use proto::etcdserverpb::{PutRequest, RangeRequest};

use super::{Consistency, Plan, preload};
use crate::connection::{Connection, Connections};
use crate::keys::{KeySpace, Picker};
use crate::load::{Operation, drive};
use crate::sample::{Failure, Sample};
use crate::servers::Server;

type Kv = proto::etcdserverpb::kv_client::KvClient<Connection>;

/// Clients of the range and of the mixed scenario.
const CLIENTS: usize = 64;
/// Keys of one range.
const RANGE_KEYS: usize = 100;
/// Puts in a hundred operations of the mixed scenario.
const MIXED_PUT_PERCENT: u8 = 20;

/// Single puts to random keys.
pub(super) async fn put(server: &Server, plan: &Plan, clients: usize) -> Result<Sample, Failure> {
    run(server, plan, clients, Shape::Put).await
}

/// Single gets of random keys that exist.
pub(super) async fn get(
    server: &Server,
    plan: &Plan,
    clients: usize,
    consistency: Consistency,
) -> Result<Sample, Failure> {
    preload::load(server, plan, &plan.keys).await?;
    run(server, plan, clients, Shape::Get(consistency)).await
}

/// Ranges of 100 neighbouring keys.
pub(super) async fn range(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    preload::load(server, plan, &plan.keys).await?;
    run(server, plan, CLIENTS, Shape::Range).await
}

/// Gets, and now and then a put.
pub(super) async fn mixed(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    preload::load(server, plan, &plan.keys).await?;
    run(server, plan, CLIENTS, Shape::Mixed).await
}

async fn run(server: &Server, plan: &Plan, clients: usize, shape: Shape) -> Result<Sample, Failure> {
    let connections = plan.connect(server, clients).await?;
    let clients = (0..clients).map(|client| Client::new(&connections, &plan.keys, client, shape)).collect();
    Ok(drive(clients, || server.usage(), plan.window).await?.plain_sample())
}

#[derive(Clone, Copy)]
enum Shape {
    Put,
    Get(Consistency),
    Range,
    Mixed,
}

struct Client {
    kv: Kv,
    keys: KeySpace,
    picker: Picker,
    shape: Shape,
}

impl Client {
    fn new(connections: &Connections, keys: &KeySpace, number: usize, shape: Shape) -> Self {
        Self { kv: connections.kv(number), keys: keys.clone(), picker: keys.picker(number), shape }
    }

    async fn put(&mut self) -> Result<(), Failure> {
        let number = self.picker.number();
        let (key, value) = (self.keys.key(number), self.keys.value(number));
        self.kv.put(PutRequest { key, value, ..PutRequest::default() }).await?;
        Ok(())
    }

    async fn get(&mut self, consistency: Consistency) -> Result<(), Failure> {
        let key = self.keys.key(self.picker.number());
        let serializable = consistency == Consistency::Serializable;
        self.range(RangeRequest { key, serializable, ..RangeRequest::default() }, 1).await
    }

    async fn range_of_many(&mut self) -> Result<(), Failure> {
        let last_start = self.keys.count() - RANGE_KEYS - 1;
        let start = self.picker.number().min(last_start);
        let request = RangeRequest {
            key: self.keys.key(start),
            range_end: self.keys.key(start + RANGE_KEYS),
            limit: RANGE_KEYS as i64,
            ..RangeRequest::default()
        };
        self.range(request, RANGE_KEYS).await
    }

    async fn range(&mut self, request: RangeRequest, expected: usize) -> Result<(), Failure> {
        let found = self.kv.range(request).await?.into_inner().kvs.len();
        if found == expected { Ok(()) } else { Err(Failure::broken(format!("{found} keys instead of {expected}"))) }
    }
}

impl Operation for Client {
    async fn call(&mut self) -> Result<(), Failure> {
        match self.shape {
            Shape::Put => self.put().await,
            Shape::Get(consistency) => self.get(consistency).await,
            Shape::Range => self.range_of_many().await,
            Shape::Mixed if self.picker.chance(MIXED_PUT_PERCENT) => self.put().await,
            Shape::Mixed => self.get(Consistency::Linearizable).await,
        }
    }
}
