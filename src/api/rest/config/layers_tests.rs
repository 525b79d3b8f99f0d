//! Which releases a client gets.

use bytes::Bytes;
use recipes::config::{OnFailure, Plan, RolloutState, Step};

use super::*;
use crate::rest::names::Namespace;

fn set(env: &str) -> ConfigSet {
    ConfigSet::parse(Namespace::default(), "shop", env).unwrap()
}

fn asked(query: &str) -> Result<Asked, Problem> {
    let mut query = Query::parse(query).unwrap();
    let asked = Asked::of(set("prod"), &mut query)?;
    query.finish()?;
    Ok(asked)
}

fn event(env: &str, part: &str, value: Option<String>) -> Event {
    let kind = if value.is_some() { EventKind::Put } else { EventKind::Delete };
    let value = Bytes::from(value.unwrap_or_default());
    Event { kind, kv: KeyValue { key: set(env).key(part), value, ..KeyValue::default() }, previous: None }
}

/// The versions of the layers of `query`, after those events.
fn versions(query: &str, events: &[Event]) -> Vec<Option<u64>> {
    let asked = asked(query).unwrap();
    let mut pointers = Pointers { layers: vec![LayerPointers::default(); asked.layers.len()] };
    events.iter().for_each(|event| pointers.follow(&asked, event));
    pointers.versions(&asked)
}

fn label(env: &str, label: &str, version: u64) -> Event {
    event(env, &format!("labels/{label}"), Some(version.to_string()))
}

fn rollout(env: &str, state: RolloutState, steps: Vec<Scope>) -> Event {
    let steps = steps.into_iter().map(|scope| Step { scope, min_acks: 1, max_failures: 0 }).collect();
    let plan = Plan { steps, on_failure: OnFailure::Halt };
    let rollout = Rollout {
        version: 9,
        label: "live".to_owned(),
        base: Some(2),
        state,
        step: plan.steps.len() - 1,
        applied: 0,
        failed: 0,
        forgiven: 0,
        plan,
    };
    event(env, "rollout", Some(serde_json::to_string(&rollout).unwrap()))
}

#[test]
fn layers_are_those_asked_for() {
    let envs = |query: &str| {
        asked(query).map(|asked| asked.layers.iter().map(|set| set.env.clone()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(envs("").unwrap(), "base prod");
    assert_eq!(envs("cluster=eu").unwrap(), "base prod prod.eu");
    assert_eq!(envs("layers=common,prod").unwrap(), "common prod");
    for query in [
        "layers=base",
        "layers=prod,prod",
        "layers=",
        "layers=prod&cluster=eu",
        "cluster=a/b",
        "layers=prod,1,2,3,4,5,6,7,8",
        "label=a&version=1",
        "client_labels=a:b",
        "client=a&client_labels=ab",
        "label=a/b",
    ] {
        assert!(envs(query).is_err(), "{query}");
    }
}

#[test]
fn each_layer_comes_to_the_release_of_its_label() {
    let events = [label("base", "live", 1), label("prod", "live", 2), label("prod", "next", 3)];
    assert_eq!(versions("", &events), [Some(1), Some(2)]);
    assert_eq!(versions("label=next", &events), [Some(1), Some(3)], "the base has no such label");
    assert_eq!(versions("label=other", &events), [Some(1), None], "the set itself must have it");
    assert_eq!(versions("version=7", &events), [Some(1), Some(7)]);
    let gone = [&events[..], &[event("prod", "labels/live", None)]].concat();
    assert_eq!(versions("", &gone), [Some(1), None]);
}

#[test]
fn a_rollout_reaches_who_belongs_to_its_steps() {
    let zone = |zone: &str| Scope::Selector(BTreeMap::from([("zone".to_owned(), zone.to_owned())]));
    let at = |state, steps: &[Scope]| [label("prod", "live", 2), rollout("prod", state, steps.to_vec())];
    let running = at(RolloutState::Running, &[zone("a"), zone("b")]);
    let in_zone = |zone: &str| format!("client=web-1&client_labels=zone:{zone}");
    assert_eq!(versions(&in_zone("a"), &running), [None, Some(9)]);
    assert_eq!(versions(&in_zone("b"), &running), [None, Some(9)]);
    assert_eq!(versions(&in_zone("c"), &running), [None, Some(2)]);
    assert_eq!(versions("", &running), [None, Some(2)], "who does not say who it is gets what the label names");
    assert_eq!(versions("client=web-1&client_labels=zone:a&version=1", &running), [None, Some(1)]);
    assert_eq!(versions(&in_zone("a"), &at(RolloutState::Halted, &[zone("a")])), [None, Some(9)]);
    assert_eq!(versions(&in_zone("a"), &at(RolloutState::RolledBack, &[zone("a")])), [None, Some(2)]);
    assert_eq!(versions(&in_zone("a"), &at(RolloutState::Aborted, &[zone("a")])), [None, Some(2)]);
}

#[test]
fn a_percentage_is_that_and_holds_on_to_its_clients() {
    let set = set("prod");
    let among = |percent: u64| -> Vec<usize> {
        (0..10_000).filter(|client| share_of(&set, &format!("web-{client}")) < percent * 100).collect()
    };
    let (few, many) = (among(5), among(50));
    assert!((400..600).contains(&few.len()) && (4700..5300).contains(&many.len()), "{} {}", few.len(), many.len());
    assert!(few.iter().all(|client| many.contains(client)));
    assert_eq!(among(100).len(), 10_000);
}
