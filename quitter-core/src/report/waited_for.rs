//! The text about the routines that a quit waits for.

use std::fmt;
use std::time::Duration;

use crate::report::escape::cut;
use crate::report::path::QuitterPath;
use crate::report::standing::{EVERYONE_WAITS, Standing};
use crate::report::text::{Count, Seconds, write_pieces};
use crate::report::timeouts::{StuckRoutine, Timeouts};
use crate::routine::kind::RoutineState;

/// The maximum number of routines that the text names.
pub(super) const NAMED: usize = 5;

/// Writes "Waiting for 1 routine, 3.9 s left: 'flusher' of main/db (running 7.0 s)", on several lines if one
/// is too short.
pub(super) fn write_waiting(
    f: &mut fmt::Formatter<'_>,
    routines: &Timeouts,
    left: Option<Duration>,
) -> fmt::Result {
    /// The indent of the lines after the first.
    const INDENT: usize = 2;
    let waiting = format!("Waiting for {}", Count(routines.len(), "routine"));
    let mut pieces = match left {
        Some(left) => vec![format!("{waiting},"), format!("{} left:", Seconds(left))],
        None => vec![format!("{waiting}:")],
    };
    let named: Vec<_> = routines.first(NAMED).collect();
    for (at, (path, routine)) in named.iter().enumerate() {
        let end = if at + 1 == named.len() { "" } else { "," };
        pieces.extend(waited_for(path, routine, end));
    }
    match routines.len().saturating_sub(NAMED) {
        0 => {}
        more => pieces.push(format!("and {more} more")),
    }
    write_pieces(f, 0, &" ".repeat(INDENT), pieces)?;
    match routines.everyone_waits() {
        true => write!(f, "\n{:INDENT$}{EVERYONE_WAITS}", ""),
        false => Ok(()),
    }
}

/// "'flusher' of main/db (running 7.0 s, status "3/10")" and `end`, in pieces. Leaves out the call that a
/// routine is blocked in if the routine waits for others: the call would add nothing.
fn waited_for(path: &QuitterPath, routine: &StuckRoutine, end: &str) -> Vec<String> {
    let name = &routine.name;
    let running = Seconds(routine.running_for);
    let mut pieces = vec![format!("{} (running {running}", Routine { name, path })];
    match routine.state {
        RoutineState::Waiting => pieces.extend(routine.state.words().map(str::to_owned)),
        _ => {
            let standing = Standing::of(&routine.stands);
            pieces.extend(standing.iter().flat_map(|standing| standing.parts(1)));
        }
    }
    pieces.extend(routine.status_fact());
    let last = pieces.len() - 1;
    for (at, piece) in pieces.iter_mut().enumerate() {
        match at == last {
            true => *piece = format!("{piece}){end}"),
            false => piece.push(','),
        }
    }
    pieces
}

/// "'flusher' of main/db", short enough for several on a line.
pub(super) struct Routine<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a QuitterPath,
}

impl fmt::Display for Routine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' of {}", cut(self.name, 30), self.path.shown(40))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quitter;
    use crate::report::notice::Notice;
    use crate::stands::Stands;

    fn without_running_times(text: &str) -> String {
        let mut parts = text.split("running ");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.filter_map(|part| Some(part.split_once(" s")?.1));
        rest.fold(first, |text, rest| text + "running …" + rest)
    }

    #[test]
    fn a_waiting_notice_names_those_last_that_only_wait_for_others() {
        let root = Quitter::root("main");
        let _guards = ["main", "flusher"].map(|name| root.guard(name).unwrap());
        let mut routines = root.wait_done(Duration::ZERO).unwrap_err();
        let main = &mut routines.quitters[0].routines[0];
        main.state = RoutineState::Waiting;
        main.stands = Some(Stands::Blocked {
            call: "futex".to_owned(),
            on: None,
        });
        let left = None;
        let text = Notice::Waiting { routines, left }.to_string();
        assert_eq!(
            without_running_times(&text),
            "Waiting for 2 routines: 'flusher' of main (running …), 'main' of main (running …,\n  \
             waits for others)"
        );
    }

    #[test]
    fn a_waiting_notice_cuts_long_names_and_paths() {
        let root = Quitter::root("main");
        let child = root.child("x".repeat(100)).unwrap();
        let _guard = child.guard("y".repeat(100)).unwrap();
        let routines = root.wait_done(Duration::ZERO).unwrap_err();
        let text = Notice::Waiting {
            routines,
            left: None,
        };
        let text = text.to_string();
        let (_, named) = text.split_once('\'').unwrap();
        let (name, rest) = named.split_once("' of ").unwrap();
        let path = rest.split_once(" (running ").unwrap().0;
        assert_eq!((name.chars().count(), path.chars().count()), (30, 40));
    }

    #[test]
    fn a_waiting_notice_names_the_first_routines_and_counts_the_others() {
        let root = Quitter::root("main");
        let child = root.child("db\n").unwrap();
        let first = child.guard("flusher").unwrap();
        first.set_status("3/10\u{1b}");
        let _others = [(); 6].map(|()| root.guard("other").unwrap());
        let routines = root.wait_done(Duration::ZERO).unwrap_err();
        let left = Some(Duration::from_millis(3900));
        let text = Notice::Waiting { routines, left }.to_string();
        assert_eq!(
            without_running_times(&text),
            [
                r#"Waiting for 7 routines, 3.9 s left: 'flusher' of main/db\n (running …, status "3/10\u{1b}"),"#,
                "  'other' of main (running …), 'other' of main (running …), 'other' of main (running …),",
                "  'other' of main (running …) and 2 more",
            ]
            .join("\n")
        );
    }
}
