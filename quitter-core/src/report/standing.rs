//! The text for what the routines of one line stand on.

use crate::report::text::Span;
use crate::stands::Stands;

/// The line below a list of threads that nothing in the program can wake.
pub(super) const EVERYONE_WAITS: &str = "everyone waits: nothing here will wake anybody";

/// The separator of the parts of an object.
const COMMA: &str = ", ";

/// What the routines of one line stand on: the call that they are blocked in, or how much they run.
pub(super) struct Standing<'a> {
    /// The number of routines for which this is known.
    known: usize,
    shared: Shared<'a>,
}

enum Shared<'a> {
    /// The CPU time that the routines used.
    Running(Span),
    Suspended,
    Blocked {
        call: &'a str,
        /// The parts of the object that the routines have in common.
        on: Vec<&'a str>,
        /// Whether the objects differ.
        differs: bool,
    },
}

/// The kind of [`Stands`], which is the same for the routines of one line.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind<'a> {
    Running,
    Suspended,
    Blocked(&'a str),
}

impl<'a> Kind<'a> {
    /// `None` if this is not known.
    pub(super) fn of(stands: &'a Option<Stands>) -> Option<Self> {
        match stands.as_ref()? {
            Stands::Blocked { call, .. } => Some(Self::Blocked(call)),
            Stands::Running { .. } => Some(Self::Running),
            Stands::Suspended => Some(Self::Suspended),
            Stands::Unknown => None,
        }
    }
}

impl<'a> Standing<'a> {
    /// `None` if this is not known.
    pub(super) fn of(stands: &'a Option<Stands>) -> Option<Self> {
        let shared = match stands.as_ref()? {
            Stands::Blocked { call, on } => Shared::Blocked {
                call,
                on: parts(on).collect(),
                differs: false,
            },
            Stands::Running { cpu } => Shared::Running(Span::of(*cpu)),
            Stands::Suspended => Shared::Suspended,
            Stands::Unknown => return None,
        };
        Some(Self { known: 1, shared })
    }

    /// The call that the routines are blocked in. `None` if they run or are suspended.
    pub(super) fn call(&self) -> Option<&'a str> {
        match self.shared {
            Shared::Blocked { call, .. } => Some(call),
            Shared::Running(_) | Shared::Suspended => None,
        }
    }

    /// Adds a routine of the same kind, or one about which nothing is known.
    pub(super) fn include(&mut self, other: &'a Option<Stands>) {
        match (&mut self.shared, other) {
            (Shared::Running(span), Some(Stands::Running { cpu })) => span.include(*cpu),
            (Shared::Suspended, Some(Stands::Suspended)) => {}
            (Shared::Blocked { on, differs, .. }, Some(Stands::Blocked { on: other, .. })) => {
                let common = on.iter().zip(parts(other));
                let common = common.take_while(|(part, other)| *part == other).count();
                *differs |= common < on.len() || common < parts(other).count();
                on.truncate(common);
            }
            _ => return,
        }
        self.known += 1;
    }

    /// The text about `count` routines. A line may be broken between the parts; a text that is not too long
    /// is a single part.
    pub(super) fn parts(&self, count: usize) -> Vec<String> {
        /// The columns that a line has beside the longest name.
        const ROOM: usize = 63;
        let mut text = match &self.shared {
            Shared::Running(span) => running(*span),
            Shared::Suspended => Stands::Suspended.to_string(),
            Shared::Blocked { call, on, differs } => {
                let on = match (on.is_empty(), differs) {
                    (true, true) => Some("different objects".to_owned()),
                    (true, false) => None,
                    (false, _) => Some(on.join(COMMA)),
                };
                let call = (*call).to_owned();
                Stands::Blocked { call, on }.to_string()
            }
        };
        if self.known < count {
            text = format!("{} of them {text}", self.known);
        }
        match text.chars().count() {
            ..=ROOM => vec![text],
            _ => text.split(COMMA).map(str::to_owned).collect(),
        }
    }
}

fn parts(on: &Option<String>) -> impl Iterator<Item = &str> {
    on.iter().flat_map(|on| on.split(COMMA))
}

fn running(span: Span) -> String {
    let cpu = span.longest;
    let [least, most] = [span.shortest, cpu].map(Stands::percent);
    match least == most {
        true => Stands::Running { cpu }.to_string(),
        false => format!("using {least} to {most} % of a CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(all: &[Option<Stands>]) -> String {
        let mut standing = Standing::of(&all[0]).unwrap();
        all[1..].iter().for_each(|stands| standing.include(stands));
        standing.parts(all.len()).join(COMMA)
    }

    fn blocked(on: &str) -> Option<Stands> {
        let call = "recvfrom".to_owned();
        let on = (!on.is_empty()).then(|| on.to_owned());
        Some(Stands::Blocked { call, on })
    }

    fn running(percent: u32) -> Option<Stands> {
        let cpu = Stands::MOMENT * percent / 100;
        Some(Stands::Running { cpu })
    }

    #[test]
    fn routines_of_one_line_are_said_to_stand_on_what_they_have_in_common() {
        let same = [blocked("fd 7, a pipe"), blocked("fd 7, a pipe")];
        assert_eq!(text(&same), "blocked in recvfrom (fd 7, a pipe)");
        let alike = [blocked("a lock, the same as 'a'"), blocked("a lock")];
        assert_eq!(text(&alike), "blocked in recvfrom (a lock)");
        let others = [
            blocked("fd 7, a pipe"),
            blocked("fd 8, a pipe"),
            blocked(""),
        ];
        assert_eq!(text(&others), "blocked in recvfrom (different objects)");
        let [one, _, unknown] = others;
        for known_first in [
            [one.clone(), unknown.clone()],
            [unknown.clone(), one.clone()],
        ] {
            let text = text(&known_first);
            assert_eq!(text, "blocked in recvfrom (different objects)");
        }
        assert_eq!(text(&[blocked(""), blocked("")]), "blocked in recvfrom");
    }

    #[test]
    fn routines_of_one_line_that_run_are_shown_with_the_least_and_the_most() {
        let all = [running(40), running(98), running(60)];
        assert_eq!(text(&all), "using 40 to 98 % of a CPU");
        let starved = [running(0), running(0)];
        assert_eq!(text(&starved), "running or waiting for a CPU");
        let one = [running(98), running(98)];
        assert_eq!(text(&one), "using 98 % of a CPU");
        let unknown = [running(98), None, Some(Stands::Unknown)];
        let unknown = text(&unknown);
        assert_eq!(unknown, "1 of them using 98 % of a CPU");
        assert!(Standing::of(&Some(Stands::Unknown)).is_none());
    }
}
