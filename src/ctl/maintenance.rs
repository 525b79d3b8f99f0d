//! `alarm`, `defrag` and `move-leader`.

use client::pb::alarm_request::AlarmAction;
use client::pb::{AlarmRequest, AlarmResponse, AlarmType};

use crate::endpoint::endpoints;
use crate::exit::{Exit, text_of};
use crate::flags::{Defrag, Words};
use crate::number::unsigned;
use crate::run::{Context, write};

const ALL: AlarmRequest = AlarmRequest { action: AlarmAction::Get as i32, member_id: 0, alarm: AlarmType::None as i32 };

pub(crate) async fn alarms(context: &Context) -> Result<(), Exit> {
    context.out.show(&context.client.alarm(ALL).await?)
}

/// Clears every alarm that there is, one by one.
pub(crate) async fn disarm(context: &Context) -> Result<(), Exit> {
    let all = context.client.alarm(ALL).await?;
    let mut cleared = AlarmResponse { header: all.header, alarms: Vec::new() };
    for alarm in all.alarms {
        let action = AlarmAction::Deactivate.into();
        let request = AlarmRequest { action, member_id: alarm.member_id, alarm: alarm.alarm };
        let response = context.client.alarm(request).await?;
        cleared.header = response.header;
        cleared.alarms.extend(response.alarms);
    }
    context.out.show(&cleared)
}

pub(crate) async fn defrag(context: &Context, flags: &Defrag) -> Result<(), Exit> {
    let mut failed = false;
    for endpoint in endpoints(context, flags.cluster).await? {
        match context.client.only(&endpoint)?.defragment().await {
            Ok(_) => write(format!("Finished defragmenting etcd member[{endpoint}]\n").as_bytes())?,
            Err(error) => {
                failed = true;
                eprintln!("Failed to defragment etcd member[{endpoint}] ({})", text_of(&error));
            }
        }
    }
    if failed { Err(Exit::said()) } else { Ok(()) }
}

/// Asks the leader, which has to be among the endpoints, to hand over.
pub(crate) async fn move_leader(context: &Context, words: &Words) -> Result<(), Exit> {
    let [target] = &words.words[..] else { return Err(Exit::bad_args("move-leader command needs 1 argument")) };
    let target = unsigned(target, 16).map_err(Exit::bad_args)?;
    let endpoints = context.client.endpoints();
    for endpoint in endpoints {
        let client = context.client.only(endpoint)?;
        let status = client.status().await?;
        let own = status.header.map_or(0, |header| header.member_id);
        if own == status.leader {
            client.move_leader(target).await?;
            return write(format!("Leadership transferred from {own:x} to {target:x}\n").as_bytes());
        }
    }
    Err(Exit::bad_args(format!("no leader endpoint given at [{}]", endpoints.join(" "))))
}
