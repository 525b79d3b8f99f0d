//! Where applied batches go: the watch hub, the recipe waiters, the lease keeper, the tokens. Never waits, so neither does the apply worker.

use std::sync::Arc;

use consensus::ApplySink;
use model::AppliedBatch;
use watch::HubHandle;

use crate::inbox::FactSender;
use crate::measures::Measures;
use crate::simple_tokens::SimpleTokens;

/// Fans batches out to the tasks of this member.
#[derive(Debug)]
pub(crate) struct Fan {
    hub: HubHandle,
    measures: Arc<Measures>,
    waiters: FactSender,
    keeper: FactSender,
    tokens: Arc<SimpleTokens>,
}

impl Fan {
    pub(crate) fn new(
        hub: HubHandle,
        measures: Arc<Measures>,
        waiters: FactSender,
        keeper: FactSender,
        tokens: Arc<SimpleTokens>,
    ) -> Self {
        Self { hub, measures, waiters, keeper, tokens }
    }
}

impl ApplySink for Fan {
    fn applied(&mut self, batch: Arc<AppliedBatch>) {
        self.measures.applied(&batch);
        self.tokens.applied(&batch);
        if !batch.leases.is_empty() {
            self.keeper.send(&batch);
        }
        if !batch.changes.is_empty() || !batch.leases.is_empty() {
            self.waiters.send(&batch);
        }
        self.hub.publish(batch);
    }

    fn replaced(&mut self) {
        self.keeper.miss();
        self.waiters.miss();
        self.tokens.forget();
        self.hub.reset();
    }
}
