//! Says below stacks that their names were not read in time, and how to read them.

use std::env;
use std::fmt;
use std::path::Path;

use crate::report::escape::cut;
use crate::report::text::WIDTH;
use crate::stacks::{Frame, Stack};

/// Columns of the program's path in the command.
const PATH_WIDTH: usize = 60;

/// Writes the note, on new lines, if there is such a stack. The command has as many of the offsets of the
/// first one as fit on a line.
pub(super) fn write_unread<'a>(
    f: &mut fmt::Formatter<'_>,
    stacks: impl Iterator<Item = &'a Stack>,
) -> fmt::Result {
    let mut unread = stacks.filter(|stack| stack.names_unread).peekable();
    if unread.peek().is_none() {
        return Ok(());
    }
    f.write_str("\nNot all names of calls were read in time")?;
    let program = env::current_exe().ok();
    match unread.find_map(|stack| command(stack, program.as_deref())) {
        Some(command) => write!(f, ". To read more:\n{command}"),
        // They are the system's, whose files rarely have more than the names of their public functions.
        None => Ok(()),
    }
}

/// "  addr2line -f -C -e target/debug/store 0x1a2b3 0x1a2c4", for the module of the first call that may
/// have a name.
fn command(stack: &Stack, program: Option<&Path>) -> Option<String> {
    let is_readable = |frame: &&Frame| frame.is_unnamed() && !frame.is_systems();
    let mut frames = stack.frames.iter().filter(is_readable).peekable();
    let module = frames.peek()?.module.as_deref()?;
    let mut command = format!("  addr2line -f -C -e {}", path_of(module, program));
    for frame in frames.filter(|frame| frame.module.as_deref() == Some(module)) {
        let offset = format!(" {:#x}", frame.offset);
        if command.chars().count() + offset.len() > WIDTH {
            break;
        }
        command += &offset;
    }
    Some(command)
}

/// The path of the program, escaped, if the module is the program and the path is short. Otherwise the
/// name.
fn path_of(module: &str, program: Option<&Path>) -> String {
    let is_module = |path: &&Path| path.file_name().is_some_and(|name| name == module);
    let path = program.filter(is_module).map(Path::to_string_lossy);
    let whole = path.filter(|path| path.chars().count() <= PATH_WIDTH);
    cut(whole.as_deref().unwrap_or(module), PATH_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(module: &str, offset: u64) -> Frame {
        Frame {
            function: format!("{module}+{offset:#x}"),
            file: None,
            line: None,
            module: Some(module.to_owned()),
            offset,
        }
    }

    fn unread(frames: Vec<Frame>) -> Stack {
        Stack {
            frames,
            is_cut: false,
            names_unread: true,
        }
    }

    fn note(stacks: &[Stack]) -> String {
        struct Note<'a>(&'a [Stack]);
        impl fmt::Display for Note<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_unread(f, self.0.iter())
            }
        }
        Note(stacks).to_string()
    }

    #[test]
    fn names_that_were_not_read_come_with_the_command_that_reads_them() {
        let frames = vec![
            call("libc.so.6", 0xcf545),
            call("store", 0x1a2b3),
            call("plugin.so", 0x77),
            call("store", 0x1a2c4),
        ];
        let stack = unread(frames);
        let shown = |program: &str| command(&stack, Some(Path::new(program))).unwrap();
        assert_eq!(
            shown("/srv/bin/store"),
            "  addr2line -f -C -e /srv/bin/store 0x1a2b3 0x1a2c4"
        );
        let by_name = "  addr2line -f -C -e store 0x1a2b3 0x1a2c4";
        assert_eq!(shown("/srv/bin/store (deleted)"), by_name);
        assert_eq!(shown(&format!("/{}/store", "long".repeat(20))), by_name);
        assert_eq!(command(&stack, None).as_deref(), Some(by_name));
        let said =
            "\nNot all names of calls were read in time. To read more:\n  addr2line -f -C -e ";
        assert!(note(&[stack]).starts_with(said));
    }

    #[test]
    fn stacks_without_names_are_no_reason_for_a_note_but_where_the_time_was_over() {
        let mut stack = unread(vec![call("libc.so.6", 0xcf545), call("store", 0x1a2b3)]);
        stack.names_unread = false;
        assert_eq!(note(&[stack]), "");
        // The names of the program were read.
        let mut own = call("store", 0x1a2b3);
        own.function = "store::flush".to_owned();
        let stack = unread(vec![call("libc.so.6", 0xcf545), own]);
        assert_eq!(note(&[stack]), "\nNot all names of calls were read in time");
    }

    #[test]
    fn the_note_is_bounded_and_forges_no_line_whatever_the_program_is_called() {
        let name = format!("a\n\u{1b}[2J{}", "x".repeat(1000));
        let stack = unread((0..1000).map(|at| call(&name, u64::MAX - at)).collect());
        let note = note(&[stack.clone(), stack]);
        assert_eq!(note.lines().count(), 3, "{note}");
        assert!(
            note.lines().all(|line| line.chars().count() <= WIDTH),
            "{note}"
        );
        assert!(
            !note.contains('\u{1b}') && note.contains(" 0xffffffff"),
            "{note}"
        );
        let path = format!("/a\u{202e}b/{name}");
        assert!(!path_of(&name, Some(Path::new(&path))).contains('\u{202e}'));
        let short = path_of("a\nb", Some(Path::new("/c\u{1b}/a\nb")));
        assert_eq!(short, r"/c\u{1b}/a\nb");
    }
}
