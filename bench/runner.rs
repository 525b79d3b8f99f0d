//! One run of the program: every chosen scenario, every round, every server in turn.
//!
//! Servers alternate within a scenario, so that what changes on the machine during a run meets all of them; who goes
//! first changes with the round. Each turn has a fresh process on an empty data directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::machine::Machine;
use crate::progress::Progress;
use crate::report;
use crate::results::{Results, ScenarioResults, ServerResults, Settings};
use crate::sample::{Failure, Outcome, Sample};
use crate::scenarios::{Plan, Scenario};
use crate::servers::{Programs, Server, ServerKind};

/// How long one turn may take in all; loading a million keys into a slow server is within it.
const TURN_LIMIT: Duration = Duration::from_secs(900);

/// What is to be run.
pub(crate) struct Run {
    /// The scenarios, in order.
    pub(crate) scenarios: Vec<Scenario>,
    /// The servers, in the order of the first round.
    pub(crate) servers: Vec<ServerKind>,
    /// How much of everything.
    pub(crate) plan: Plan,
    /// The same as numbers for the report.
    pub(crate) settings: Settings,
    /// Where the servers are.
    pub(crate) programs: Programs,
}

impl Run {
    /// Runs everything; writes `results.json` and `REPORT.md` into `out` after each scenario, so that a run that is
    /// given up leaves what it has.
    ///
    /// # Errors
    /// The results cannot be written, or the disk cannot be measured. What servers do is no error.
    pub(crate) async fn execute(&self, out: &Path) -> anyhow::Result<()> {
        let mut versions = BTreeMap::new();
        for server in &self.servers {
            versions.insert(server.to_string(), self.programs.version(*server).await);
        }
        let machine = Machine::measure(&self.programs.data_root)?;
        let mut results = Results { machine, settings: self.settings.clone(), versions, scenarios: vec![] };
        let progress = Progress::new(self.turns());
        for scenario in &self.scenarios {
            results.scenarios.push(self.scenario(*scenario, &progress).await);
            results.write(&out.join("results.json"))?;
            report::write(&results, &out.join("REPORT.md"))?;
        }
        progress.finish();
        Ok(())
    }

    fn turns(&self) -> usize {
        self.scenarios.iter().map(|scenario| self.servers_of(*scenario).len() * self.settings.rounds).sum()
    }

    fn servers_of(&self, scenario: Scenario) -> Vec<ServerKind> {
        self.servers.iter().copied().filter(|server| !server.is_floor() || scenario.suits_floor()).collect()
    }

    async fn scenario(&self, scenario: Scenario, progress: &Progress) -> ScenarioResults {
        let mut servers: Vec<ServerResults> =
            self.servers_of(scenario).into_iter().map(|server| ServerResults { server, rounds: vec![] }).collect();
        for round in 0..self.settings.rounds {
            for turn in 0..servers.len() {
                let index = (round + turn) % servers.len();
                let results = &mut servers[index];
                let step = format!("{scenario}, {}, round {}", results.server, round + 1);
                progress.begin(&step);
                let outcome = Outcome::from(self.turn(scenario, results.server).await);
                progress.end(&step, &outcome);
                results.rounds.push(outcome);
            }
        }
        ScenarioResults { name: scenario.to_string(), about: scenario.about(), servers }
    }

    async fn turn(&self, scenario: Scenario, kind: ServerKind) -> Result<Sample, Failure> {
        let mut server = Server::start(kind, &self.programs).await?;
        let sample = match tokio::time::timeout(TURN_LIMIT, scenario.run(&mut server, &self.plan)).await {
            Ok(sample) => sample,
            Err(_) => Err(Failure::broken(format!("not done after {TURN_LIMIT:?}"))),
        };
        server.stop().await?;
        sample
    }
}
