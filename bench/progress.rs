//! What the user sees while a run goes on: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::sample::{Metric, Outcome};

/// Progress over a known number of steps.
pub(crate) struct Progress {
    bar: ProgressBar,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Bar,
    Lines,
}

impl Progress {
    /// Nothing of `steps` is done yet.
    pub(crate) fn new(steps: usize) -> Self {
        let look = if std::io::stderr().is_terminal() { Look::Bar } else { Look::Lines };
        let bar = match look {
            Look::Bar => ProgressBar::new(steps as u64),
            Look::Lines => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} of about {duration}  {msg}");
        bar.set_style(style.expect("the template is constant and valid"));
        Self { bar, look }
    }

    /// A step begins.
    pub(crate) fn begin(&self, step: &str) {
        self.bar.set_message(step.to_owned());
        if self.look == Look::Bar {
            self.bar.tick();
        }
    }

    /// The step ended.
    pub(crate) fn end(&self, step: &str, outcome: &Outcome) {
        self.bar.inc(1);
        let line = format!("{step}: {}", summary(outcome));
        match self.look {
            Look::Bar => self.bar.println(line),
            Look::Lines => eprintln!("{line}"),
        }
    }

    /// All steps are done.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// An outcome in one line.
fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(sample) => {
            let figures = Metric::ALL.iter().filter_map(|metric| {
                let value = sample.figures.get(metric)?;
                Some(format!("{} {}", metric.show(*value), metric.heading()))
            });
            figures.collect::<Vec<_>>().join("; ")
        }
        Outcome::NotOffered(reason) => format!("not offered: {reason}"),
        Outcome::Failed(reason) => format!("FAILED: {reason}"),
    }
}
