//! Runs the jobs that the rows need, round after round, and keeps every value.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quitter_benches::workload::median;
use serde_json::Value;

use crate::built::Built;

/// The program that runs a workload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Program {
    /// Criterion, with all implementations of a workload in one process.
    Ops,
    /// The program `heap`, with a process for each implementation.
    Heap,
    /// The program `scenario`, with a process for each implementation.
    Scenario,
}

/// One implementation of a workload, at a size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Job {
    pub(crate) program: Program,
    pub(crate) workload: &'static str,
    pub(crate) implementation: &'static str,
    pub(crate) size: usize,
}

/// The name of the figure that criterion measures.
pub(crate) const OP: &str = "op";

/// All values of all rounds.
#[derive(Default)]
pub(crate) struct Measured {
    values: BTreeMap<Job, HashMap<String, Vec<f64>>>,
}

impl Measured {
    /// The median over the rounds.
    pub(crate) fn median(&self, job: &Job, figure: &str) -> Option<f64> {
        Some(median(self.values.get(job)?.get(figure)?))
    }

    /// Runs every job once. Jobs that are compared run at about the same time.
    pub(crate) fn round(&mut self, jobs: &[Job], built: &Built, smoke: bool) {
        let mut ops = None;
        for job in jobs {
            match job.program {
                // One process runs all implementations, so the first job is enough.
                Program::Ops if ops == Some(job.workload) => {}
                Program::Ops => {
                    ops = Some(job.workload);
                    self.run_ops(jobs, job.workload, &built.ops, smoke);
                }
                Program::Heap => self.run_alone(job, &built.program("heap")),
                Program::Scenario => self.run_alone(job, &built.program("scenario")),
            }
        }
    }

    fn add(&mut self, job: Job, figure: &str, value: f64) {
        let figures = self.values.entry(job).or_default();
        figures.entry(figure.to_owned()).or_default().push(value);
    }

    fn run_alone(&mut self, job: &Job, program: &Path) {
        let output = Command::new(program)
            .args([job.workload, job.implementation, &job.size.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("a program, built before");
        if !output.status.success() {
            eprintln!("{job:?}: {}", output.status);
            return;
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (figure, value) = line.split_once('\t').expect("a figure and its value");
            self.add(*job, figure, value.parse().expect("a number"));
        }
    }

    fn run_ops(&mut self, jobs: &[Job], workload: &str, ops: &Path, smoke: bool) {
        let estimates = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(ops);
        command.args(["--bench", "--quiet", &format!("^{workload}/")]);
        if smoke {
            command.args(["--warm-up-time", "0.001", "--measurement-time", "0.001"]);
        }
        let status = command
            .env("CRITERION_HOME", estimates.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the benchmark, built before");
        assert!(status.success(), "criterion, {workload}");
        let of_workload = |job: &&Job| job.program == Program::Ops && job.workload == workload;
        for job in jobs.iter().filter(of_workload) {
            self.add(*job, OP, estimate(estimates.path(), job));
        }
    }
}

/// Criterion's median of an operation's nanoseconds.
fn estimate(folder: &Path, job: &Job) -> f64 {
    let file: PathBuf = [job.workload, job.implementation, "new", "estimates.json"]
        .iter()
        .collect();
    let file = folder.join(file);
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: Value = serde_json::from_slice(&text).expect("criterion's estimates");
    estimates["median"]["point_estimate"]
        .as_f64()
        .expect("criterion's median")
}
