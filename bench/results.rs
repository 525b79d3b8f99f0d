//! Everything that a run measured, as it is written to `results.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::machine::Machine;
use crate::sample::{Metric, Outcome, Sample};
use crate::servers::ServerKind;

/// One run of the program.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// Where.
    pub(crate) machine: Machine,
    /// How much.
    pub(crate) settings: Settings,
    /// The version of each server, by its name.
    pub(crate) versions: BTreeMap<String, String>,
    /// What came of it.
    pub(crate) scenarios: Vec<ScenarioResults>,
}

/// The numbers that a run was made with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Members of etcd and of Quorate.
    pub(crate) members: usize,
    /// Turns of each server in each scenario.
    pub(crate) rounds: usize,
    /// Seconds that count.
    pub(crate) duration_s: f64,
    /// Seconds before them.
    pub(crate) warm_up_s: f64,
    /// HTTP/2 connections of a scenario, at most.
    pub(crate) connections: usize,
    /// Keys of all scenarios but the bulk one.
    pub(crate) keys: usize,
    /// Keys of the bulk scenario.
    pub(crate) bulk_keys: usize,
    /// Seed of everything random.
    pub(crate) seed: u64,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioResults {
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) about: &'static str,
    /// What each server made of it.
    pub(crate) servers: Vec<ServerResults>,
}

/// One server in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ServerResults {
    /// Which server.
    #[serde(serialize_with = "as_name")]
    pub(crate) server: ServerKind,
    /// How each of its turns ended.
    pub(crate) rounds: Vec<Outcome>,
}

fn as_name<S: Serializer>(kind: &ServerKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

impl ServerResults {
    /// The medians over the rounds that were measured, if there is one.
    pub(crate) fn median(&self) -> Option<Sample> {
        let samples: Vec<&Sample> = self
            .rounds
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Measured(sample) => Some(sample),
                Outcome::NotOffered(_) | Outcome::Failed(_) => None,
            })
            .collect();
        if samples.is_empty() { None } else { Some(Sample::median_of(&samples)) }
    }
}

impl ScenarioResults {
    /// The median of one figure of one server.
    pub(crate) fn figure(&self, server: ServerKind, metric: Metric) -> Option<f64> {
        let results = self.servers.iter().find(|results| results.server == server)?;
        results.median()?.figures.get(&metric).copied()
    }

    /// One figure of one server as a multiple of another's.
    pub(crate) fn ratio(&self, server: ServerKind, to: ServerKind, metric: Metric) -> Option<f64> {
        let reference = self.figure(to, metric).filter(|reference| *reference > 0.0)?;
        Some(self.figure(server, metric)? / reference)
    }
}

impl Results {
    /// The results of the scenario named `name`.
    pub(crate) fn scenario(&self, name: &str) -> Option<&ScenarioResults> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// Writes them as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(path, text)?)
    }
}
