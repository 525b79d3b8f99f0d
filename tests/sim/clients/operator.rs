//! An operator who replaces a member while everything else goes on: adds a learner, promotes it when it has caught up, and removes
//! another member. What came of a request is looked up, not believed.

use std::future::Future;
use std::time::Duration;

use model::MemberId;
use node::{Error, Handle, MemberChange, MembersError, Unavailable};

use super::Client;
use crate::connection::url;
use crate::member::Site;
use crate::network::Place;
use crate::trace::trace;

const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn run(mut client: Client, newcomer: Site) {
    client.rest(500, 8000).await;
    let (place, cluster) = (newcomer.place, client.cluster.clone());
    let urls = vec![url(place)];
    let add = |handle: Handle| {
        let urls = urls.clone();
        async move { handle.add_member(urls, true).await.map(drop) }
    };
    done(&mut client, add, MembersError::PeerUrlExists).await;
    trace!(cluster.trace, "{} has added {place}", client.name);
    let founders: Vec<Place> = newcomer.members.iter().copied().filter(|member| *member != place).collect();
    cluster.add(newcomer);
    cluster.start(place);

    let id = id_of(&mut client, place).await;
    let promote = |handle: Handle| async move { handle.change_members(MemberChange::Promote(id)).await.map(drop) };
    done(&mut client, promote, MembersError::NotLearner).await;
    trace!(cluster.trace, "{} has promoted {place}", client.name);

    let leaver = client.rng.pick(&founders);
    let id = id_of(&mut client, leaver).await;
    let remove = |handle: Handle| async move { handle.change_members(MemberChange::Remove(id)).await.map(drop) };
    done(&mut client, remove, MembersError::NotFound).await;
    trace!(cluster.trace, "{} has removed {leaver}", client.name);
    client.rest(0, 3000).await;
    cluster.retire(leaver);
}

/// Asks one member after the other until it was done, or `already` says that an earlier attempt was.
async fn done<F>(client: &mut Client, ask: impl Fn(Handle) -> F, already: MembersError)
where
    F: Future<Output = Result<(), MembersError>>,
{
    loop {
        // The nemesis, who brings members back, may have left for the day.
        client.cluster.places().into_iter().filter(|_| client.is_done()).for_each(|place| client.cluster.start(place));
        client.move_on();
        let asked = client.cluster.ask(client.place, PATIENCE, |handle| async {
            match ask(handle).await {
                Err(error) if error != already => Err(Error::Unavailable(Unavailable::Timeout)),
                Ok(()) | Err(_) => Ok(()),
            }
        });
        if asked.await.is_ok() {
            return;
        }
        client.rest(20, 400).await;
    }
}

/// The id of the member at a place, once anyone knows it.
async fn id_of(client: &mut Client, place: Place) -> MemberId {
    loop {
        let mut all = client.cluster.processes().into_iter().flat_map(|(_, process)| process.handle.members());
        if let Some(member) = all.find(|member| member.info.peer_urls == [url(place)]) {
            return member.id;
        }
        client.rest(10, 50).await;
    }
}
