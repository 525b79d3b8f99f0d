//! `lease`.

use client::Error;
use client::pb::LeaseTimeToLiveRequest;

use crate::exit::{Exit, text_of};
use crate::flags::{KeepAlive, Lease, TimeToLive, Words};
use crate::number::{lease_id, signed};
use crate::run::{Context, write};
use crate::show::{Done, Remaining};

pub(crate) async fn run(context: &Context, task: &Lease) -> Result<(), Exit> {
    match task {
        Lease::Grant(words) => grant(context, words).await,
        Lease::Revoke(words) => revoke(context, words).await,
        Lease::Timetolive(flags) => time_to_live(context, flags).await,
        Lease::List => context.out.show(&context.client.leases().await?),
        Lease::KeepAlive(flags) => keep_alive(context, flags).await,
    }
}

async fn grant(context: &Context, words: &Words) -> Result<(), Exit> {
    let [ttl] = &words.words[..] else { return Err(Exit::bad_args("lease grant command needs TTL argument")) };
    let ttl = signed(ttl, 10).map_err(|error| Exit::bad_args(format!("bad TTL ({error})")))?;
    let granted = context.client.lease_grant(ttl, 0).await;
    let granted = granted.map_err(|error| Exit::failed(format!("failed to grant lease ({})", text_of(&error))))?;
    context.out.show(&granted)
}

async fn revoke(context: &Context, words: &Words) -> Result<(), Exit> {
    let [id] = &words.words[..] else { return Err(Exit::bad_args("lease revoke command needs 1 argument")) };
    let id = lease_id(id)?;
    let revoked = context.client.lease_revoke(id).await;
    let revoked = revoked.map_err(|error| Exit::failed(format!("failed to revoke lease ({})", text_of(&error))))?;
    context.out.show(&Done::new(format!("lease {id:016x} revoked"), revoked.header, &revoked))
}

async fn time_to_live(context: &Context, flags: &TimeToLive) -> Result<(), Exit> {
    let [id] = &flags.words[..] else {
        return Err(Exit::bad_args("lease timetolive command needs lease ID as argument"));
    };
    let request = LeaseTimeToLiveRequest { id: lease_id(id)?, keys: flags.keys };
    let response = context.client.lease_time_to_live(request).await?;
    context.out.show(&Remaining { response: &response, with_keys: flags.keys })
}

async fn keep_alive(context: &Context, flags: &KeepAlive) -> Result<(), Exit> {
    let [id] = &flags.words[..] else {
        return Err(Exit::bad_args("lease keep-alive command needs lease ID as argument"));
    };
    let id = lease_id(id)?;
    if flags.once {
        return context.out.show(&context.client.keep_alive_once(id).await?);
    }
    let expired = |error: Error| match error {
        Error::LeaseExpired => write(format!("lease {id:016x} expired or revoked.\n").as_bytes()),
        error => Err(error.into()),
    };
    let mut renewals = match context.client.keep_alive(id).await {
        Ok(renewals) => renewals,
        Err(error) => return expired(error),
    };
    loop {
        match renewals.next().await {
            Ok(renewal) => context.out.show(&renewal)?,
            Err(error) => return expired(error),
        }
    }
}
