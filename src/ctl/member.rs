//! `member`.

use client::pb::{Member as Known, MemberAddRequest, MemberListRequest, MemberUpdateRequest, ResponseHeader};
use prost::Message;

use crate::exit::Exit;
use crate::flags::{Member, MemberAdd, MemberList, MemberUpdate, Words};
use crate::number::member_id;
use crate::run::{Context, write};
use crate::show::go::quoted;
use crate::show::{Done, Format};

pub(crate) async fn run(context: &Context, task: &Member) -> Result<(), Exit> {
    match task {
        Member::List(flags) => list(context, flags).await,
        Member::Add(flags) => add(context, flags).await,
        Member::Remove(words) => remove(context, words).await,
        Member::Update(flags) => update(context, flags).await,
        Member::Promote(words) => promote(context, words).await,
    }
}

async fn list(context: &Context, flags: &MemberList) -> Result<(), Exit> {
    let linearizable = match flags.consistency.as_str() {
        "l" => true,
        "s" => false,
        other => return Err(Exit::bad_feature(format!("unknown consistency flag {other:?}"))),
    };
    context.out.show(&context.client.member_list(MemberListRequest { linearizable }).await?)
}

async fn add(context: &Context, flags: &MemberAdd) -> Result<(), Exit> {
    let name = match &flags.words[..] {
        [] => return Err(Exit::bad_args("member name not provided")),
        [name] => name,
        _ => return Err(Exit::bad_args("too many arguments")),
    };
    let peer_ur_ls = urls(&flags.peer_urls);
    if peer_ur_ls.is_empty() {
        return Err(Exit::bad_args("member peer urls not provided"));
    }
    let request = MemberAddRequest { peer_ur_ls: peer_ur_ls.clone(), is_learner: flags.learner };
    let response = context.client.member_add(request).await?;
    let added = response.member.clone().unwrap_or_default();
    let members = (response.members.clone(), Some(added.clone()));
    context.out.show(&changed("added to cluster", added.id, response.header, members, &response))?;
    if context.out.format != Format::Simple {
        return Ok(());
    }
    let named = |member: &Known| {
        let name = if member.id == added.id { name.clone() } else { member.name.clone() };
        member.peer_ur_ls.iter().map(move |url| format!("{name}={url}")).collect::<Vec<_>>()
    };
    let cluster = response.members.iter().flat_map(named).collect::<Vec<_>>().join(",");
    let [name, cluster, urls] = [name.as_str(), &cluster, &peer_ur_ls.join(",")].map(|text| quoted(text.as_bytes()));
    let settings = format!(
        "\nETCD_NAME={name}\nETCD_INITIAL_CLUSTER={cluster}\nETCD_INITIAL_ADVERTISE_PEER_URLS={urls}\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n"
    );
    write(settings.as_bytes())
}

async fn remove(context: &Context, words: &Words) -> Result<(), Exit> {
    let id = only_id(&words.words)?;
    let response = context.client.member_remove(id).await?;
    let members = (response.members.clone(), None);
    context.out.show(&changed("removed from cluster", id, response.header, members, &response))
}

async fn update(context: &Context, flags: &MemberUpdate) -> Result<(), Exit> {
    let id = only_id(&flags.words)?;
    let peer_ur_ls = urls(&flags.peer_urls);
    if peer_ur_ls.is_empty() {
        return Err(Exit::bad_args("member peer urls not provided"));
    }
    let response = context.client.member_update(MemberUpdateRequest { id, peer_ur_ls }).await?;
    let members = (response.members.clone(), None);
    context.out.show(&changed("updated in cluster", id, response.header, members, &response))
}

async fn promote(context: &Context, words: &Words) -> Result<(), Exit> {
    let id = only_id(&words.words)?;
    let response = context.client.member_promote(id).await?;
    let members = (response.members.clone(), None);
    context.out.show(&changed("promoted in cluster", id, response.header, members, &response))
}

fn changed(
    what: &str,
    id: u64,
    header: Option<ResponseHeader>,
    members: (Vec<Known>, Option<Known>),
    message: &impl Message,
) -> Done {
    let cluster = header.map_or(0, |header| header.cluster_id);
    let text = format!("Member {id:16x} {what} {cluster:16x}");
    Done { members: Some(members), ..Done::new(text, header, message) }
}

fn only_id(words: &[String]) -> Result<u64, Exit> {
    let [id] = words else { return Err(Exit::bad_args("member ID is not provided")) };
    member_id(id)
}

fn urls(list: &str) -> Vec<String> {
    list.split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect()
}
