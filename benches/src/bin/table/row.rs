//! A row of the table: a figure of a workload, the implementations it compares, and the goals.

use quitter_benches::OURS;

use crate::goal::Goal;
use crate::measure::{Job, Measured, Program};

/// One figure of one workload, at each of its sizes.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Says what is measured, for readers of the table.
    pub(crate) what: &'static str,
    pub(crate) program: Program,
    pub(crate) workload: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) unit: Unit,
    /// Empty if the row has no size.
    pub(crate) sizes: &'static [usize],
    /// How often it runs in a round. Figures that depend on where threads are placed vary a lot.
    pub(crate) often: usize,
    pub(crate) floor: Option<Floor>,
    pub(crate) peers: &'static [&'static str],
    /// Implementations that are not peers, but worth showing.
    pub(crate) others: &'static [&'static str],
    pub(crate) goals: &'static [Goal],
    /// The figures of go-quitter, by size.
    pub(crate) go_quitter: &'static [(usize, f64)],
    pub(crate) growth: Growth,
    /// The name of the plot, if the row has sizes.
    pub(crate) plot: Option<&'static str>,
    pub(crate) when: When,
    /// Why the row misses its goal. It is kept here so that it survives the next run.
    pub(crate) why: &'static str,
}

/// The defaults of a row.
pub(crate) const ROW: Row = Row {
    what: "",
    program: Program::Scenario,
    workload: "",
    figure: "",
    unit: Unit::Time,
    sizes: &[],
    often: 1,
    floor: None,
    peers: &[],
    others: &[],
    goals: &[],
    go_quitter: &[],
    growth: Growth::Unknown,
    plot: None,
    when: When::Always,
    why: "",
};

/// When a row is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// With `--builds`: each takes seconds.
    Builds,
}

/// Whether the table of growth shows the row, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    Unknown,
    /// The figure is that of one item.
    PerItem,
    /// The figure is that of all items.
    OfAll,
}

/// The floor of a row: the cheapest that the machine allows.
#[derive(Clone, Copy)]
pub(crate) struct Floor {
    /// The name.
    pub(crate) name: &'static str,
    implementation: &'static str,
    /// The workload, figure and size, if they are not the row's.
    elsewhere: Option<(&'static str, &'static str, Option<usize>)>,
}

impl Floor {
    /// An implementation of the same workload, with the same figure.
    pub(crate) const fn of(implementation: &'static str) -> Self {
        Self {
            name: implementation,
            implementation,
            elsewhere: None,
        }
    }

    /// An implementation of another workload, or with another figure.
    pub(crate) const fn elsewhere(
        name: &'static str,
        implementation: &'static str,
        (workload, figure, size): (&'static str, &'static str, Option<usize>),
    ) -> Self {
        Self {
            name,
            implementation,
            elsewhere: Some((workload, figure, size)),
        }
    }
}

/// The unit of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Time,
    Bytes,
    Crates,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => format!("{value:.0} B"),
            Self::Crates => format!("{value:.0}"),
            Self::Time => {
                let scales = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
                let fits = |(scale, _): &&(f64, _)| value >= *scale;
                let (scale, name) = scales.iter().find(fits).unwrap_or(&(1.0, "ns"));
                format!("{} {name}", three_digits(value / scale))
            }
        }
    }
}

/// A value with as many digits as a measurement on a busy machine deserves.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// The values of a row at one size.
pub(crate) struct Cells {
    pub(crate) ours: Option<f64>,
    pub(crate) floor: Option<f64>,
    pub(crate) peers: Vec<(&'static str, f64)>,
    pub(crate) others: Vec<(&'static str, f64)>,
}

impl Cells {
    /// The value of a peer or other.
    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        let mut all = self.peers.iter().chain(&self.others);
        all.find(|(other, _)| *other == name)
            .map(|&(_, value)| value)
    }

    pub(crate) fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.peers.iter().copied();
        peers.min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

impl Row {
    /// The sizes. A row without sizes has the size zero.
    pub(crate) fn sizes(&self) -> &'static [usize] {
        if self.sizes.is_empty() {
            &[0]
        } else {
            self.sizes
        }
    }

    /// The jobs that have to run for this row.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for &size in self.sizes() {
            jobs.push(self.job(OURS, size));
            jobs.extend(self.floor_job(size).map(|(job, _)| job));
            let rest = self.peers.iter().chain(self.others);
            jobs.extend(rest.map(|name| self.job(name, size)));
        }
        jobs
    }

    pub(crate) fn cells(&self, size: usize, measured: &Measured) -> Cells {
        let value = |name: &&'static str| {
            let value = measured.median(&self.job(name, size), self.figure)?;
            Some((*name, value))
        };
        Cells {
            ours: value(&OURS).map(|(_, value)| value),
            floor: self
                .floor_job(size)
                .and_then(|(job, figure)| measured.median(&job, figure)),
            peers: self.peers.iter().filter_map(value).collect(),
            others: self.others.iter().filter_map(value).collect(),
        }
    }

    fn job(&self, implementation: &'static str, size: usize) -> Job {
        Job {
            program: self.program,
            workload: self.workload,
            implementation,
            size,
        }
    }

    fn floor_job(&self, size: usize) -> Option<(Job, &'static str)> {
        let floor = self.floor?;
        let own = self.job(floor.implementation, size);
        Some(match floor.elsewhere {
            None => (own, self.figure),
            Some((workload, figure, other)) => {
                let size = other.unwrap_or(size);
                (
                    Job {
                        workload,
                        size,
                        ..own
                    },
                    figure,
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_three_digits_in_the_unit_that_fits() {
        assert_eq!(Unit::Time.show(0.613), "0.61 ns");
        assert_eq!(Unit::Time.show(37_250.0), "37.2 µs");
        assert_eq!(Unit::Time.show(412_000_000.0), "412 ms");
        assert_eq!(Unit::Bytes.show(122.49), "122 B");
    }
}
