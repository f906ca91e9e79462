//! The table of a build: a row for each routine that hangs.

use crate::compare::{self, compare};
use crate::gdb::Thread;
use crate::report::{Frame, Routine};
use crate::run::Seen;

pub(crate) fn of(seen: &[Seen]) -> String {
    let mut table =
        "| case | the report says, without `stacks` | `stacks` adds | gdb says | compared |\n\
                     | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for seen in seen {
        let without = &seen.without_stacks.routines;
        let with = &seen.with_stacks.routines;
        assert_eq!(without.len(), with.len(), "{}", seen.case);
        for routine in with {
            let same = without.iter().find(|other| other.name == routine.name);
            let same = same.expect("the same routines");
            let thread = seen.gdb.of(&routine.name);
            let row = [
                format!("`{}`: {}", seen.case, routine.name),
                same.stands.clone(),
                stack(routine, same),
                gdb(thread),
                compare(routine, &seen.gdb),
            ];
            table += &format!("| {} |\n", row.join(" | "));
        }
    }
    table
}

/// The stack, innermost first. If the call differs from the report without stacks, the call comes before it.
fn stack(routine: &Routine, without: &Routine) -> String {
    let steady = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    let mut said: Vec<_> = routine.frames.iter().map(frame).collect();
    if steady(&routine.stands) != steady(&without.stands) {
        said.insert(0, format!("**{}**", routine.stands));
    }
    said.join("<br>")
}

fn frame(frame: &Frame) -> String {
    let Frame { function, place } = frame;
    match place {
        Some(place) => format!("`{function}` {}", short_place(place)),
        None => format!("`{function}`"),
    }
}

/// The innermost call, the innermost of the program's own calls, and how many calls there are.
fn gdb(thread: &Thread) -> String {
    let innermost = thread.frames.first().map_or("??", |frame| &frame.function);
    let mut said = vec![format!("`{}`", compare::short(innermost))];
    match compare::own(thread) {
        Some((function, place)) => {
            let place = place.as_deref().map(short_place).unwrap_or_default();
            said.push(format!("`{function}` {place}").trim().to_owned());
        }
        None => said.push("no function of the program".to_owned()),
    }
    said.push(format!("in {} calls", thread.frames.len()));
    said.join("<br>")
}

/// Leaves out the folder, which is the same in the whole table.
fn short_place(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or(place)
}
