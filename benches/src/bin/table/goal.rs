//! Goals: an upper bound for a row, often relative to something else in that row.

use crate::row::{Cells, Unit};

/// The thing that quitter is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Floor,
    BestPeer,
    Peer(&'static str),
}

/// The upper bound for quitter's value.
#[derive(Clone, Copy)]
enum Most {
    Value(f64),
    Times(f64, Of),
    MoreThan(f64, Of),
}

/// The goal of a row, at one size or at all sizes.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    most: Most,
    size: Option<usize>,
}

impl Goal {
    /// At most this, in the row's unit.
    pub(crate) const fn value(most: f64) -> Self {
        Self::new(Most::Value(most))
    }

    /// At most this many times the other.
    pub(crate) const fn times(times: f64, of: Of) -> Self {
        Self::new(Most::Times(times, of))
    }

    /// At most this much more than the other, in the row's unit.
    pub(crate) const fn more_than(of: Of, more: f64) -> Self {
        Self::new(Most::MoreThan(more, of))
    }

    const fn new(most: Most) -> Self {
        Self { most, size: None }
    }

    /// Restricts the goal to this size.
    pub(crate) const fn at(self, size: usize) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    pub(crate) fn applies_at(&self, size: usize) -> bool {
        self.size.is_none_or(|only| only == size)
    }

    pub(crate) fn text(&self, unit: Unit) -> String {
        match self.most {
            Most::Value(most) => format!("≤ {}", unit.show(most)),
            Most::Times(times, of) => format!("≤ {times} × {}", of.text()),
            Most::MoreThan(more, of) => format!("≤ {} + {}", of.text(), unit.show(more)),
        }
    }

    /// Returns `None` if something was not measured.
    pub(crate) fn is_met(&self, cells: &Cells) -> Option<bool> {
        let most = match self.most {
            Most::Value(most) => most,
            Most::Times(times, of) => times * of.value(cells)?,
            Most::MoreThan(more, of) => more + of.value(cells)?,
        };
        // Rounded to two decimals, as ratios are shown: they are no more precise than that.
        Some(cells.ours? / most < 1.005)
    }
}

impl Of {
    fn text(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::BestPeer => "best peer",
            Self::Peer(name) => name,
        }
    }

    fn value(self, cells: &Cells) -> Option<f64> {
        match self {
            Self::Floor => cells.floor,
            Self::BestPeer => cells.best_peer().map(|(_, value)| value),
            Self::Peer(name) => cells.of(name),
        }
    }
}
