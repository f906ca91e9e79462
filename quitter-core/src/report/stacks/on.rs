//! With the feature: the stacks in a list, as lines of text.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use super::Called;
use super::unread::write_unread;
use crate::report::escape::{counted, cut};
use crate::report::text::{Count, width, write_broken};
use crate::report::timeouts::{StuckRoutine, Timeouts};
use crate::stacks::{Frame, Stack, TaskState, Why};

/// The number of lines after which the stacks of a list are left out.
const MAX_LINES: usize = 150;

/// The maximum number of different stacks below a line of the list.
const MAX_STACKS: usize = 3;

/// The number of calls that are shown of a long stack, at its inner end and at its outer end.
const INNER: usize = 10;
const OUTER: usize = 4;

/// The maximum width of a file, in columns.
const PLACE_WIDTH: usize = 42;

/// The width that the name of a call has at least, in columns, even if the line then is too long.
const MIN_CALL_WIDTH: usize = 20;

/// The stacks of routines that share a line.
#[derive(Default)]
pub(in crate::report) struct LineStacks<'a> {
    routines: usize,
    stacks: Vec<(&'a Stack, usize)>,
    /// The first task in each state that the list mentions, with the number of tasks in that state.
    tasks: Vec<(&'a TaskState, usize)>,
}

impl<'a> LineStacks<'a> {
    pub(in crate::report) fn of(routine: &'a StuckRoutine) -> Self {
        let mut stacks = Self::default();
        stacks.include(routine);
        stacks
    }

    pub(in crate::report) fn include(&mut self, routine: &'a StuckRoutine) {
        self.routines += 1;
        for stack in &routine.stacks {
            match self
                .stacks
                .iter_mut()
                .find(|(known, _)| known.is_alike(stack))
            {
                Some((_, count)) => *count += 1,
                None => self.stacks.push((stack, 1)),
            }
        }
        // The stacks show what a task awaits.
        let is_said = |state: &&TaskState| !matches!(state, TaskState::Awaiting);
        if let Some(state) = routine.task.as_ref().filter(is_said) {
            let is_alike = |known: &TaskState| match (known, state) {
                (TaskState::InPoll { os_id: one, .. }, TaskState::InPoll { os_id, .. }) => {
                    one == os_id
                }
                _ => discriminant(known) == discriminant(state),
            };
            match self.tasks.iter_mut().find(|(known, _)| is_alike(known)) {
                Some((_, count)) => *count += 1,
                None => self.tasks.push((state, 1)),
            }
        }
    }

    /// The states of the tasks among the routines, the most frequent first.
    pub(in crate::report) fn facts(&self) -> Vec<String> {
        let mut tasks = self.tasks.clone();
        tasks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let fact = |(state, count): &(&TaskState, usize)| match self.routines == *count {
            true => state.to_string(),
            false => format!("{count} of them: {state}"),
        };
        tasks.iter().take(MAX_STACKS).map(fact).collect()
    }

    /// The lines of the stacks, each once, the most frequent first. `shown` has those that the list has shown
    /// before. Each line begins with `indent` spaces.
    pub(in crate::report) fn lines(
        &self,
        routines: Called<'a>,
        shown: &mut ShownStacks<'a>,
        indent: usize,
    ) -> Vec<String> {
        let mut stacks = self.stacks.clone();
        stacks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let is_only = stacks.len() == 1 && stacks[0].1 == self.routines;
        // A task that awaits several futures, which `select!` polls in a random order.
        if self.routines == 1
            && stacks.len() > 1
            && let Some(by) = shown.has_all(stacks.iter().map(|(stack, _)| *stack))
        {
            let others = by.beside(routines);
            return shown.one_line(format!("{:indent$}at the same places as {others}", ""));
        }
        let mut lines = Vec::new();
        for (at, (stack, count)) in stacks.iter().take(MAX_STACKS).enumerate() {
            let mut further = indent;
            if self.routines == 1 {
                // A task that awaits several futures.
                lines.extend((at > 0).then(|| format!("{:indent$}also", "")));
            } else if !is_only {
                lines.push(format!("{:indent$}×{count}", ""));
                further += 2;
            }
            lines.extend(shown.lines(stack, routines, further));
        }
        let left_out = stacks.get(MAX_STACKS..).unwrap_or_default();
        shown.leave_out(left_out.iter().map(|(stack, _)| *stack), routines);
        match left_out.len() {
            0 => {}
            more => lines.push(format!("{:indent$}and {}", "", Count(more, "other stack"))),
        }
        lines
    }
}

impl Called<'_> {
    /// The name, with the quitter unless `other` has the same.
    fn beside(self, other: Called<'_>) -> String {
        const NAME_WIDTH: usize = 30;
        const PATH_WIDTH: usize = 30;
        let name = cut(self.name, NAME_WIDTH);
        match self.quitter == other.quitter {
            true => format!("'{name}'"),
            false => format!("'{name}' of {}", self.quitter.shown(PATH_WIDTH)),
        }
    }
}

/// The stacks that a list has shown, each with the first routines that have it: no stack is shown twice.
#[derive(Default)]
pub(in crate::report) struct ShownStacks<'a> {
    stacks: HashMap<Lines<'a>, Called<'a>>,
    /// The stacks that were only counted, since their line has too many.
    left_out: HashMap<Lines<'a>, Called<'a>>,
    lines: usize,
}

/// A stack, equal to all others for which a list shows the same lines.
struct Lines<'a>(&'a Stack);

impl PartialEq for Lines<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_alike(other.0)
    }
}

impl Eq for Lines<'_> {}

impl Hash for Lines<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let frames = self.0.frames.iter();
        frames.for_each(|frame| (&frame.function, frame.line).hash(state));
    }
}

impl<'a> ShownStacks<'a> {
    /// The routines that are already listed with all of these stacks.
    fn has_all(&self, mut stacks: impl Iterator<Item = &'a Stack>) -> Option<Called<'a>> {
        let by = |stack| {
            let stack = &Lines(stack);
            self.stacks.get(stack).or(self.left_out.get(stack)).copied()
        };
        let first = by(stacks.next()?)?;
        stacks
            .all(|stack| by(stack) == Some(first))
            .then_some(first)
    }

    fn leave_out(&mut self, stacks: impl Iterator<Item = &'a Stack>, routines: Called<'a>) {
        for stack in stacks {
            self.left_out.entry(Lines(stack)).or_insert(routines);
        }
    }

    fn one_line(&mut self, line: String) -> Vec<String> {
        self.lines += 1;
        vec![line]
    }

    fn lines(&mut self, stack: &'a Stack, routines: Called<'a>, indent: usize) -> Vec<String> {
        let by = self.stacks.get(&Lines(stack));
        let lines = match by {
            Some(by) => {
                let others = by.beside(routines);
                vec![format!("{:indent$}at the same place as {others}", "")]
            }
            None if self.lines > MAX_LINES => vec![format!("{:indent$}…", "")],
            None => lines(stack, indent),
        };
        self.stacks.entry(Lines(stack)).or_insert(routines);
        self.lines += lines.len();
        lines
    }
}

/// A line for each call, or for each run of equal calls.
fn lines(stack: &Stack, indent: usize) -> Vec<String> {
    let mut runs: Vec<(&Frame, usize)> = Vec::new();
    for frame in &stack.frames {
        match runs.last_mut() {
            Some((last, count)) if last.is_alike(frame) => *count += 1,
            _ => runs.push((frame, 1)),
        }
    }
    let places: Vec<_> = runs.iter().map(|(frame, _)| place(frame)).collect();
    let columns = |text: &String| text.chars().count();
    let place_width = places.iter().map(columns).max().unwrap_or_default();
    let room = width().saturating_sub(indent + place_width + 2);
    let room = room.max(MIN_CALL_WIDTH);
    let calls = runs.iter();
    let calls = calls.map(|(frame, count)| counted(&frame.function, *count, room));
    let calls: Vec<_> = calls.collect();
    let with_places = calls
        .iter()
        .zip(&places)
        .filter(|(_, place)| !place.is_empty());
    let width = with_places.map(|(call, _)| columns(call)).max();
    let width = width.unwrap_or_default();
    let line = |(call, place): (&String, &String)| match place.is_empty() {
        true => format!("{:indent$}{call}", ""),
        false => format!("{:indent$}{call:width$}  {place}", ""),
    };
    let mut lines: Vec<_> = calls.iter().zip(&places).map(line).collect();
    if lines.len() > INNER + OUTER + 1 {
        let left_out = lines.len() - INNER - OUTER;
        let text = format!("{:indent$}… {left_out} more", "");
        lines.splice(INNER..lines.len() - OUTER, [text]);
    }
    if stack.is_cut {
        lines.push(format!("{:indent$}…", ""));
    }
    lines
}

fn place(frame: &Frame) -> String {
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{}:{line}", cut(file, PLACE_WIDTH)),
        (Some(file), None) => cut(file, PLACE_WIDTH),
        (None, _) => String::new(),
    }
}

pub(in crate::report) fn write_note(
    f: &mut fmt::Formatter<'_>,
    timeouts: &Timeouts,
) -> fmt::Result {
    write_notes(f, timeouts.routines(), timeouts.stackless())
}

/// Writes whether the stacks of these routines lack names or lines, and how many threads and tasks have no
/// stack, each on a new line.
pub(in crate::report) fn write_notes<'a>(
    f: &mut fmt::Formatter<'_>,
    routines: impl Iterator<Item = &'a StuckRoutine>,
    missing: &[(Why, usize)],
) -> fmt::Result {
    let stacks: Vec<_> = routines.flat_map(|routine| &routine.stacks).collect();
    write_unread(f, &stacks)?;
    write_missing(f, missing)
}

/// Writes how many threads and tasks have no stack, and why, with a new line for each reason.
fn write_missing(f: &mut fmt::Formatter<'_>, missing: &[(Why, usize)]) -> fmt::Result {
    for (why, count) in missing {
        let of = if why.is_of_tasks() { "task" } else { "thread" };
        let why = cut(&why.to_string(), width());
        let line = match count {
            1 => format!("\nNo stack of 1 {of}: {why}"),
            n => format!("\nNo stacks of {n} {of}s: {why}"),
        };
        write_broken(f, &line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, line: Option<u32>) -> Frame {
        Frame {
            function: function.to_owned(),
            file: line.map(|_| "src/store.rs".to_owned()),
            line,
            module: Some("store".to_owned()),
            offset: u64::from(line.unwrap_or_default()),
        }
    }

    fn stack(frames: Vec<Frame>) -> Stack {
        Stack {
            frames,
            is_cut: false,
            names_unread: false,
            lacks_lines: false,
        }
    }

    #[test]
    fn calls_stand_below_each_other_with_their_places_in_a_column() {
        let frames = vec![
            frame("std::sync::Mutex::lock", None),
            frame("store::flush_to_disk", Some(88)),
            frame("store::flusher", Some(35)),
        ];
        assert_eq!(
            lines(&stack(frames), 6),
            [
                "      std::sync::Mutex::lock",
                "      store::flush_to_disk  src/store.rs:88",
                "      store::flusher        src/store.rs:35",
            ]
        );
    }

    #[test]
    fn a_recursion_is_one_line_and_a_long_stack_loses_its_middle() {
        let mut frames: Vec<_> = (0..100).map(|_| frame("store::walk", Some(7))).collect();
        frames.extend((0..100).map(|line| frame("store::call", Some(line))));
        let mut stack = stack(frames);
        stack.is_cut = true;
        let lines = lines(&stack, 6);
        assert_eq!(lines[0], "      store::walk ×100  src/store.rs:7");
        assert_eq!(lines[10], "      … 87 more");
        assert_eq!(lines[14], "      store::call       src/store.rs:99");
        assert_eq!((&lines[15][..], lines.len()), ("      …", 16));
    }

    fn stuck(root: &crate::Quitter) -> crate::Timeouts {
        root.wait_done(std::time::Duration::ZERO).unwrap_err()
    }

    /// The instances of a generic function are such code: they have one name.
    #[test]
    fn code_of_one_line_at_several_addresses_is_one_place() {
        let root = crate::Quitter::root("main");
        let _workers = [0, 1].map(|_| root.guard("worker").unwrap());
        let _flusher = root.guard("flusher").unwrap();
        let mut timeouts = stuck(&root);
        let routines = timeouts.quitters[0].routines.iter_mut();
        for (offset, routine) in (0..).zip(routines) {
            let mut call = frame("store::flush", Some(88));
            call.offset = offset;
            routine.stacks = vec![stack(vec![call])];
        }
        let text = timeouts.to_string();
        assert_eq!(text.matches("store::flush").count(), 1, "{text}");
        assert!(text.ends_with("at the same place as 'worker'"), "{text}");
    }

    #[test]
    fn the_same_place_in_another_quitter_is_said_with_its_path() {
        let root = crate::Quitter::root("main");
        let [store, cache] = ["store", "cache"].map(|name| root.child(name).unwrap());
        let _flushers = [&store, &cache].map(|quitter| quitter.guard("flusher").unwrap());
        let mut timeouts = stuck(&root);
        for quitter in &mut timeouts.quitters {
            quitter.routines[0].stacks = vec![stack(vec![frame("store::flush", Some(88))])];
        }
        let text = timeouts.to_string();
        let same = "at the same place as 'flusher' of main/store";
        assert!(text.ends_with(same), "{text}");
    }

    #[test]
    fn a_task_that_awaits_several_futures_has_a_stack_for_each() {
        let root = crate::Quitter::root("main");
        let _task = root.guard("task").unwrap();
        let mut timeouts = stuck(&root);
        let leaf = |name: &str| stack(vec![frame(name, None), frame("store::flush", Some(88))]);
        let task = &mut timeouts.quitters[0].routines[0];
        task.stacks = vec![
            leaf("tokio::sync::Mutex::lock"),
            leaf("tokio::time::timeout"),
        ];
        let text = timeouts.to_string();
        let stacks = "\n      tokio::sync::Mutex::lock\n      store::flush  src/store.rs:88\n      also\n      \
                      tokio::time::timeout\n      store::flush  src/store.rs:88";
        assert!(text.ends_with(stacks), "{text}");
    }

    /// The order in which `select!` polls its futures is random.
    #[test]
    fn tasks_that_await_the_same_futures_in_another_order_are_at_the_same_places() {
        let root = crate::Quitter::root("main");
        let names = ["first", "second", "third"];
        let _tasks = names.map(|name| root.guard(name).unwrap());
        let mut timeouts = stuck(&root);
        let leaf = |name: &str| stack(vec![frame(name, None), frame("store::flush", Some(88))]);
        let leaves = ["read", "lock", "sleep", "recv"].map(leaf);
        let reversed = || leaves.iter().rev().cloned().collect::<Vec<_>>();
        let routines = &mut timeouts.quitters[0].routines;
        routines[0].stacks = leaves.to_vec();
        routines[1].stacks = reversed();
        routines[2].stacks = reversed();
        routines[2].stacks[0] = leaf("accept");
        let text = timeouts.to_string();
        let same: Vec<_> = text
            .match_indices("at the same places as 'first'")
            .collect();
        assert_eq!(same.len(), 1, "{text}");
        let after = &text[same[0].0..];
        assert!(
            after.contains("third") && after.contains("accept"),
            "{text}"
        );
    }

    #[test]
    fn tasks_in_different_states_share_a_line_that_counts_them() {
        let root = crate::Quitter::root("main");
        let guards: Vec<_> = (0..4).map(|_| root.guard("task").unwrap()).collect();
        let mut timeouts = stuck(&root);
        let waits = TaskState::NotPolled {
            woken: std::time::Duration::from_millis(3000),
        };
        let holds = TaskState::InPoll {
            os_id: 7,
            thread: "tokio\u{1b}\nrt".to_owned(),
        };
        let states = [Some(waits.clone()), Some(waits), Some(holds), None];
        let routines = &mut timeouts.quitters[0].routines;
        for (routine, state) in routines.iter_mut().zip(states) {
            routine.task = state;
        }
        let text = timeouts.to_string().replace("\n             ", "");
        let counts = "2 of them: woken 3.0 s ago and not polled: the runtime's threads are busy,";
        assert!(text.contains(counts), "{text}");
        assert!(
            text.contains("1 of them: holds up thread 7 'tokio"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        let routines = &mut timeouts.quitters[0].routines;
        routines.truncate(1);
        let woken = std::time::Duration::from_millis(300);
        routines[0].task = Some(TaskState::NotPolled { woken });
        let alone = timeouts.to_string();
        assert!(alone.contains(", woken and not polled: "), "{alone}");
        drop(guards);
    }

    #[test]
    fn names_from_a_file_forge_no_line_and_no_line_is_too_long() {
        let long = format!("store::\n{}", "x".repeat(1000));
        let mut hostile = frame(&long, Some(1));
        hostile.file = Some(long.clone());
        let lines = lines(&stack(vec![hostile, frame(&long, None)]), 6);
        assert_eq!(lines.len(), 2);
        for line in lines {
            assert!(
                !line.contains('\n') && line.chars().count() <= 100,
                "{line}"
            );
        }
    }
}
