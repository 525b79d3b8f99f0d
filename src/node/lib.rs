//! One running member: what the state, the watchers and consensus become when clocks and tasks are added.
//!
//! Owns the tasks of a member (lease keeper, recipe waiters, compactor, watch hub) and the [`Handle`] through which the API
//! speaks to all of it. Every clock of the project is here or above; what is decided with a clock becomes a proposal and
//! is decided again, without one, when it is applied.
//!
//! Leaves to others: agreement (`consensus`), meaning of commands (`state`, `recipes`), wire and HTTP (`api`).

mod alarms;
mod announcement;
mod auth;
mod auth_config;
mod backup;
mod backup_file;
mod board;
mod bootstrap;
mod bound_session;
mod candidacies;
mod census;
mod checkpoint_pace;
mod checkpoints;
mod claim_guard;
mod claim_outcome;
mod claim_request;
mod claimable;
mod claims;
mod compactor;
mod config;
mod configs;
mod corruption;
mod defragmenter;
mod downgrade;
mod error;
mod handle;
mod history;
mod ids;
mod import;
mod inbox;
mod jwt;
mod keeper;
mod key_follower;
mod lease_calls;
mod leases;
mod measures;
mod members;
mod passwords;
mod proposer;
mod queues;
mod range_stream;
mod restore;
mod session_calls;
mod session_feed;
mod simple_tokens;
mod sink;
mod space;
mod start;
mod synchronisers;
#[cfg(test)]
mod testing;
mod upkeep;
mod waiters;

pub use auth::AuthStatus;
pub use auth_config::{AuthConfig, AuthConfigError, BcryptCost, JwtConfig, TokenKind};
pub use backup::{Backup, BackupPart};
pub use backup_file::BackupError;
pub use bootstrap::BootstrapError;
pub use bound_session::{BoundSession, SessionHealth};
pub use candidacies::{CampaignRequest, Requeue};
pub use census::LineCensus;
pub use claim_outcome::{
    AmendOutcome, Claim, ClaimOutcome, GiveUpOutcome, LimitOutcome, ReleaseOutcome, Session, TellOutcome,
};
pub use claim_request::{ClaimRequest, OnTimeout, QueuePolicy, SessionRequest};
pub use claimable::Claimable;
pub use claims::ClaimStream;
pub use config::{AutoCompaction, ClusterState, Config, InitialCluster, PeerListen, PeerTls, QUOTA_BYTES, Upkeep};
pub use consensus::{
    CATCH_UP_ENTRIES, LeaseLife, Member, MemberChange, MembersError, PeerMeasured, RaftMeasured, TransferError,
    TransfersMeasured,
};
pub use error::{Error, Unavailable};
pub use handle::{Handle, Header, Status};
pub use ids::{WallClock, cluster_id, member_id};
pub use import::{EtcdImported, import_etcd};
pub use jwt::JwtKeyError;
pub use key_follower::{KeyFollower, Keys, Moved};
pub use measures::Measured;
pub use range_stream::{RangeEnd, RangePart, RangeStream};
pub use restore::{BackupStatus, RestoreConfig, RestoreError, inspect, restore};
pub use session_feed::{SessionFact, SessionFeed};
pub use start::{Environment, Failure, Node};
pub use state::{LeaseInfo, Outcome, RevisionBump};
pub use synchronisers::{LeftRound, Met};
pub use waiters::ClaimState;
pub use watch::{Filters, Refusal, Selection, WatchEvents, WatchMessage, WatchRequest, WatchStream};
