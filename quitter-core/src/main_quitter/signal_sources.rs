//! The quit sources that are signals: which of them a signal fires.

use std::ffi::c_int;
use std::time::Instant;

use crate::main_quitter::signal::{QuitSignal, SignalSet};
use crate::main_quitter::source::SourceInfo;

#[derive(Default)]
pub(crate) struct SignalSources {
    sources: Vec<SignalSource>,
    /// When the first signal came.
    first: Option<Instant>,
}

struct SignalSource {
    set: SignalSet,
    info: SourceInfo,
    fired: bool,
}

impl SignalSource {
    fn is_of(&self, number: c_int) -> bool {
        self.set.numbers().contains(&number)
    }
}

impl SignalSources {
    /// Adds a source. Signals that are named more than once are one source, the first. Returns the signals
    /// that no source has named before.
    pub(crate) fn add(&mut self, set: SignalSet, info: SourceInfo) -> Vec<c_int> {
        if self.sources.iter().any(|other| other.set == set) {
            return Vec::new();
        }
        let is_new = |number: &c_int| !self.sources.iter().any(|other| other.is_of(*number));
        let new = set.numbers().iter().copied().filter(is_new).collect();
        self.sources.push(SignalSource {
            set,
            info,
            fired: false,
        });
        new
    }

    /// Removes the sources of these signals, which cannot be listened to.
    pub(crate) fn remove(&mut self, numbers: &[c_int]) {
        let has_any = |source: &SignalSource| numbers.iter().any(|number| source.is_of(*number));
        self.sources.retain(|source| !has_any(source));
    }

    /// The signals that are listened to, possibly with duplicates.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = c_int> {
        self.sources
            .iter()
            .flat_map(|source| source.set.numbers())
            .copied()
    }

    /// When the first signal came, if one did.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first
    }

    /// Handles a signal. Returns the source that it fires: a source of this signal alone goes before one of
    /// several, and each fires once.
    pub(crate) fn fire(&mut self, signal: QuitSignal) -> Option<SourceInfo> {
        self.first.get_or_insert_with(Instant::now);
        let sources = self.sources.iter_mut();
        let source = sources
            .filter(|source| source.is_of(signal.number))
            .min_by_key(|source| source.set.numbers().len())?;
        let fired = std::mem::replace(&mut source.fired, true);
        (!fired).then(|| source.info.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::main_quitter::signal::OF_THE_SYSTEM;

    const INT: c_int = 2;
    const HUP: c_int = 1;

    fn info(index: usize) -> SourceInfo {
        SourceInfo {
            index,
            description: format!("source {index}"),
        }
    }

    fn signal(number: c_int) -> QuitSignal {
        QuitSignal {
            number,
            name: "signal",
        }
    }

    #[test]
    fn a_signal_fires_the_source_that_is_for_it_alone_and_that_once() {
        let mut sources = SignalSources::default();
        let system = SignalSet::OfTheSystem;
        assert_eq!(sources.add(system, info(0)), OF_THE_SYSTEM);
        assert_eq!(sources.add(SignalSet::One(HUP), info(1)), []);
        assert_eq!(sources.add(SignalSet::One(HUP), info(2)), []);
        let mut fire = |number| sources.fire(signal(number)).map(|info| info.index);
        assert_eq!(fire(HUP), Some(1));
        assert_eq!(fire(HUP), None);
        assert_eq!(fire(INT), Some(0));
    }

    #[test]
    fn the_time_since_the_first_signal_starts_with_no_later_one() {
        let mut sources = SignalSources::default();
        sources.fire(signal(INT));
        let first = sources.first().unwrap();
        while Instant::now() == first {}
        sources.fire(signal(INT));
        assert_eq!(sources.first(), Some(first));
    }
}
