//! Random histories: the commands on keys, and a model in plain maps beside them. After every step the keys are those that the
//! model says.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Of item 0 or 1; deletes if `None`.
    Edit(u8, Option<u8>),
    /// By a client of etcd.
    Raw(u8, u8),
    /// For nothing, a label, a rollout; after the release that is the newest or another; of a draft just read or an old one.
    Publish(u8, bool, bool),
    Label(u64),
    Ack(u8, u64, AckStatus),
    Control(u64, RolloutAction),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        4 => Just(AckStatus::Applied),
        1 => Just(AckStatus::Failed),
        1 => Just(AckStatus::Rejected)
    ];
    let action = prop_oneof![Just(RolloutAction::Pause), Just(RolloutAction::Resume), Just(RolloutAction::Abort)];
    prop_oneof![
        3 => (0..2_u8, proptest::option::of(0..3_u8)).prop_map(|(item, value)| Step::Edit(item, value)),
        1 => (0..2_u8, 0..3_u8).prop_map(|(item, value)| Step::Raw(item, value)),
        4 => (0..3_u8, proptest::bool::weighted(0.8), proptest::bool::weighted(0.8))
            .prop_map(|(target, newest, fresh)| Step::Publish(target, newest, fresh)),
        1 => (0..6_u64).prop_map(Step::Label),
        8 => (0..4_u8, 0..6_u64, status).prop_map(|(client, version, status)| Step::Ack(client, version, status)),
        2 => (0..6_u64, action).prop_map(|(version, action)| Step::Control(version, action)),
        1 => Just(Step::Restart),
    ]
}

struct Rolling {
    version: u64,
    state: RolloutState,
    step: usize,
    acks: BTreeMap<u8, bool>,
    forgiven: u32,
}

impl Rolling {
    fn count(&self, applied: bool) -> u32 {
        u32::try_from(self.acks.values().filter(|ack| **ack == applied).count()).unwrap()
    }

    /// The plan of all rollouts here: 1 ack, then 3; at most 1 failure.
    fn advance(&mut self) {
        while self.state == RolloutState::Running {
            if self.count(false) - self.forgiven > 1 {
                self.state = RolloutState::Halted;
            } else if self.count(true) < [1, 3][self.step] {
                break;
            } else if self.step == 0 {
                self.step = 1;
            } else {
                self.state = RolloutState::Completed;
            }
        }
    }
}

/// A configuration set without keys.
#[derive(Default)]
struct Model {
    items: BTreeMap<u8, u8>,
    releases: u64,
    live: Option<u64>,
    rolling: Option<Rolling>,
    clients: BTreeMap<u8, String>,
}

impl Model {
    fn active(&mut self) -> Option<&mut Rolling> {
        self.rolling.as_mut().filter(|rolling| rolling.state.is_active())
    }

    fn advance(&mut self) {
        if let Some(rolling) = &mut self.rolling {
            rolling.advance();
            if rolling.state == RolloutState::Completed {
                self.live = Some(rolling.version);
            }
        }
    }

    fn publish(&mut self, target: u8) -> bool {
        if self.active().is_some() && target > 0 {
            return false;
        }
        self.releases += 1;
        match target {
            0 => {}
            1 => self.live = Some(self.releases),
            _ => {
                let state = RolloutState::Running;
                self.rolling =
                    Some(Rolling { version: self.releases, state, step: 0, acks: BTreeMap::new(), forgiven: 0 });
            }
        }
        true
    }

    fn ack(&mut self, client: u8, version: u64, status: AckStatus) {
        if version == 0 || version > self.releases {
            return;
        }
        self.clients.insert(client, format!("{version} {status:?}"));
        let applied = status == AckStatus::Applied;
        if let Some(rolling) = self.active().filter(|rolling| rolling.version == version)
            && rolling.acks.insert(client, applied) != Some(applied)
        {
            rolling.forgiven = rolling.forgiven.min(rolling.count(false));
            self.advance();
        }
    }

    fn control(&mut self, version: u64, action: RolloutAction) {
        let Some(rolling) = self.active().filter(|rolling| rolling.version == version) else { return };
        match action {
            RolloutAction::Pause => rolling.state = RolloutState::Paused,
            RolloutAction::Abort => rolling.state = RolloutState::Aborted,
            RolloutAction::Resume if rolling.state == RolloutState::Running => {}
            RolloutAction::Resume => {
                rolling.state = RolloutState::Running;
                rolling.forgiven = rolling.count(false);
                self.advance();
            }
        }
    }

    fn check(&self, store: &MemoryLedger) {
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        expected.extend(self.items.iter().map(|(item, value)| (format!("items/{item}"), value.to_string())));
        expected.extend((1..=self.releases).map(|version| (format!("releases/{version:016}"), "r".to_owned())));
        expected.extend((self.releases > 0).then(|| ("latest".to_owned(), self.releases.to_string())));
        expected.extend(self.live.map(|live| ("labels/live".to_owned(), live.to_string())));
        expected.extend(self.clients.iter().map(|(client, said)| (format!("clients/{client}"), said.clone())));
        if let Some(rolling) = &self.rolling {
            let mark = |applied: bool| if applied { "applied" } else { "failed" };
            let acks = rolling.acks.iter();
            let acks =
                acks.map(|(client, ack)| (format!("acks/{:016}/{client}", rolling.version), mark(*ack).to_owned()));
            expected.extend(acks);
            let found = rollout(store);
            assert_eq!(
                (found.version, found.state, found.step, found.applied, found.failed, found.forgiven),
                (
                    rolling.version,
                    rolling.state,
                    rolling.step,
                    rolling.count(true),
                    rolling.count(false),
                    rolling.forgiven
                )
            );
        }
        let all = KeyRange::prefix(set());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = store.range(&all).map(|kv| (text(&kv.key[SET.len()..]), text(&kv.value)));
        let found: BTreeMap<String, String> = found.filter(|(key, _)| key != "rollout").collect();
        assert_eq!(found, expected);
    }
}

/// Both, and the draft as it was some time ago.
struct Pair {
    store: MemoryLedger,
    model: Model,
    old_draft: DraftState,
}

impl Pair {
    fn draft(&self) -> DraftState {
        DraftState { keys: u32::try_from(self.model.items.len()).unwrap(), revision: self.store.latest() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Edit(item, new) => {
                let text = new.map(|value| value.to_string());
                edit(&mut self.store, vec![write(&format!("items/{item}"), text.as_deref())], vec![]);
                match new {
                    Some(value) => self.model.items.insert(item, value),
                    None => self.model.items.remove(&item),
                };
            }
            Step::Raw(item, value) => {
                let key = below(SET, format!("items/{item}").as_bytes());
                self.store.put_all([(key, value.to_string().into(), LeaseId::NONE)]);
                self.model.items.insert(item, value);
            }
            Step::Publish(target, newest, fresh) => self.publish(target, newest, fresh),
            Step::Label(version) => {
                let may = self.model.active().is_none() && (1..=self.model.releases).contains(&version);
                let outcome = move_label(&mut self.store, Some(version), None);
                assert_eq!(matches!(outcome, LabelOutcome::Moved { .. }), may, "{outcome:?}");
                if may {
                    self.model.live = Some(version);
                }
            }
            Step::Ack(client, version, status) => {
                ack(&mut self.store, &client.to_string(), version, status);
                self.model.ack(client, version, status);
            }
            Step::Control(version, action) => {
                control(&mut self.store, version, action);
                self.model.control(version, action);
            }
            Step::Restart => self.store = self.store.restarted(),
        }
        self.model.check(&self.store);
    }

    fn publish(&mut self, target: u8, newest: bool, fresh: bool) {
        let latest = self.model.releases;
        let draft = if fresh { self.draft() } else { self.old_draft };
        let items = KeyRange::prefix(below(SET, b"items/"));
        let is_still = self.store.range(&items).all(|kv| kv.mod_revision <= draft.revision)
            && draft.keys as usize == self.model.items.len();
        let target_of = match target {
            0 => Target::Kept,
            1 => Target::Label("live".into()),
            _ => Target::Rollout { label: "live".into(), plan: plan(OnFailure::Halt) },
        };
        let expect = Some(if newest { latest } else { latest + 1 });
        let outcome = publish(&mut self.store, Publish { expect, draft: Some(draft), ..release(target_of) });
        let may = newest && is_still && self.model.publish(target);
        assert_eq!(matches!(outcome, PublishOutcome::Published { .. }), may, "{outcome:?}");
        self.old_draft = self.draft();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn keys_are_what_the_model_says(steps in vec(step(), 1..60)) {
        let mut store = MemoryLedger::default();
        store.grant(LEASE, 10);
        let old_draft = DraftState { keys: 0, revision: store.latest() };
        let mut pair = Pair { store, model: Model::default(), old_draft };
        for step in steps {
            pair.step(step);
        }
    }
}
