//! A regular beat that ends on quit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::{Place, Record};
use crate::blocking::warn_if_blocking;
use crate::tree::Node;

/// An iterator that ticks at a regular beat and ends on quit. Made by
/// [`Quitter::ticks`](crate::Quitter::ticks) and
/// [`RoutineQuitter::ticks`](crate::RoutineQuitter::ticks).
#[derive(Debug)]
#[must_use = "ticks do nothing until they are iterated"]
pub struct Ticks<'a> {
    node: &'a Arc<Node>,
    /// The routine that ticks, if any.
    routine: Option<&'a Record>,
    /// Where the iterator was made.
    at: Place,
    period: Duration,
    /// When the next tick is due. `None`: never.
    next: Option<Instant>,
}

impl<'a> Ticks<'a> {
    pub(crate) fn new(
        node: &'a Arc<Node>,
        routine: Option<&'a Record>,
        at: Place,
        period: Duration,
    ) -> Self {
        Self {
            node,
            routine,
            at,
            period,
            next: Instant::now().checked_add(period),
        }
    }
}

impl Iterator for Ticks<'_> {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        const INSTEAD: &str = "cancel_on_quit(interval.tick()).await, with an interval of tokio";
        warn_if_blocking("ticks", INSTEAD, self.at, || !self.node.is_quitting());
        let wait = || self.node.wait_quit(self.next);
        let has_to_quit = match self.routine {
            Some(record) => record.record_blocking_call(self.at, wait),
            None => wait(),
        };
        if has_to_quit {
            return None;
        }
        let due = self.next?;
        self.next = following(due, self.period, Instant::now());
        Some(due)
    }
}

/// The first tick after the one at `due` that is not in the past. `None`: never.
fn following(due: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let next = due.checked_add(period)?;
    if next >= now || period.is_zero() {
        return Some(next.max(now));
    }
    let late = now.duration_since(due).as_nanos() % period.as_nanos();
    let late = Duration::from_nanos(u64::try_from(late).unwrap_or(u64::MAX));
    now.checked_sub(late)?.checked_add(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_are_skipped_and_the_beat_is_kept() {
        let due = Instant::now();
        let ms = Duration::from_millis;
        assert_eq!(following(due, ms(10), due + ms(3)), Some(due + ms(10)));
        assert_eq!(following(due, ms(10), due + ms(10)), Some(due + ms(10)));
        assert_eq!(following(due, ms(10), due + ms(34)), Some(due + ms(40)));
        assert_eq!(
            following(due, Duration::ZERO, due + ms(5)),
            Some(due + ms(5))
        );
        assert_eq!(following(due, Duration::MAX, due), None);
    }
}
