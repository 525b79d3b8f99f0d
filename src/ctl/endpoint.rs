//! `endpoint`: what each endpoint says of itself.

use std::time::Instant;

use client::pb::alarm_request::AlarmAction;
use client::pb::{AlarmRequest, AlarmType, MemberListRequest};
use client::request::get;
use client::{Client, Code, Error};

use crate::exit::{Exit, text_of};
use crate::flags::{Endpoint, EndpointTask};
use crate::run::Context;
use crate::show::{Format, Hashes, Health, Healths, Statuses};

pub(crate) async fn run(context: &Context, flags: &Endpoint) -> Result<(), Exit> {
    let endpoints = endpoints(context, flags.cluster).await?;
    match flags.task {
        EndpointTask::Health => health(context, &endpoints).await,
        EndpointTask::Status => status(context, &endpoints).await,
        EndpointTask::Hashkv { rev } => hashes(context, &endpoints, rev).await,
    }
}

/// The endpoints given, or those of all members.
pub(crate) async fn endpoints(context: &Context, of_cluster: bool) -> Result<Vec<String>, Exit> {
    if !of_cluster {
        return Ok(context.client.endpoints().to_vec());
    }
    let members = context.client.member_list(MemberListRequest { linearizable: true }).await.map_err(|error| {
        Exit::failed(format!("failed to fetch endpoints from etcd cluster member list: {}", text_of(&error)))
    })?;
    Ok(members.members.into_iter().flat_map(|member| member.client_ur_ls).collect())
}

async fn health(context: &Context, endpoints: &[String]) -> Result<(), Exit> {
    let mut asked = Vec::new();
    for endpoint in endpoints {
        let client = context.client.only(endpoint)?;
        let endpoint = endpoint.clone();
        asked.push(tokio::spawn(async move {
            let began = Instant::now();
            let error = ill(&client).await;
            Health { endpoint, took: began.elapsed(), error }
        }));
    }
    let mut found = Vec::new();
    for one in asked {
        found.push(one.await.map_err(|error| Exit::failed(error.to_string()))?);
    }
    let healths = Healths(found);
    if context.out.format == Format::Simple {
        for health in &healths.0 {
            if let Some(error) = &health.error {
                eprintln!("{} is unhealthy: failed to commit proposal: {error}", health.endpoint);
            }
        }
    }
    context.out.show(&healths)?;
    if healths.0.iter().any(|health| health.error.is_some()) { Err(Exit::failed("unhealthy cluster")) } else { Ok(()) }
}

/// What a member suffers from: it cannot read with a quorum behind it, or has alarms.
async fn ill(client: &Client) -> Option<String> {
    let is_denied = |error: &Error| error.code() == Some(Code::PermissionDenied);
    match client.range(get("health")).await {
        Err(error) if !is_denied(&error) => return Some(text_of(&error)),
        Ok(_) | Err(_) => {}
    }
    let all = AlarmRequest { action: AlarmAction::Get.into(), member_id: 0, alarm: AlarmType::None.into() };
    match client.alarm(all).await {
        Ok(response) if response.alarms.is_empty() => None,
        Ok(response) => {
            let names: Vec<_> = response.alarms.iter().map(|alarm| alarm.alarm().as_str_name()).collect();
            Some(format!("Active Alarm(s): {} ", names.join(" ")))
        }
        Err(error) if is_denied(&error) => None,
        Err(_) => Some("Unable to fetch the alarm list".to_owned()),
    }
}

async fn status(context: &Context, endpoints: &[String]) -> Result<(), Exit> {
    let mut found = Vec::new();
    let mut failed = false;
    for endpoint in endpoints {
        match context.client.only(endpoint)?.status().await {
            Ok(status) => found.push((endpoint.clone(), status)),
            Err(error) => {
                failed = true;
                eprintln!("Failed to get the status of endpoint {endpoint} ({})", text_of(&error));
            }
        }
    }
    context.out.show(&Statuses(found))?;
    if failed { Err(Exit::said()) } else { Ok(()) }
}

async fn hashes(context: &Context, endpoints: &[String], revision: i64) -> Result<(), Exit> {
    let mut found = Vec::new();
    let mut failed = None;
    for endpoint in endpoints {
        match context.client.only(endpoint)?.hash_kv(revision).await {
            Ok(hash) => found.push((endpoint.clone(), hash)),
            Err(error) => {
                eprintln!("Failed to get the hash of endpoint {endpoint} ({})", text_of(&error));
                failed = Some(error);
            }
        }
    }
    context.out.show(&Hashes(found))?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
