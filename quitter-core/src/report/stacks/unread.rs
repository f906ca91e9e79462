//! The note below stacks that says what they lack, and how to get it: names that were not read or that were
//! stripped, or lines that the program was built without.

use std::env;
use std::fmt;
use std::path::Path;

use crate::report::escape::cut;
use crate::report::text::{WIDTH, write_broken};
use crate::stacks::{Frame, Stack};

/// The maximum width of the program's path in the command, in columns.
const PATH_WIDTH: usize = 60;

const WITHOUT_LINES: &str =
    "For the files and lines of these calls, build with debug = \"limited\" in the profile";

const UNREAD: &str = "Not all names of calls were read, for lack of time or memory";

const STRIPPED: &str =
    "For the names of these calls, use the file as it was before it was stripped:";

/// Writes the note on new lines, if there is something to say. The command contains the offsets of the first
/// stack that lacks names, as many as fit on a line.
pub(super) fn write_unread(f: &mut fmt::Formatter<'_>, stacks: &[&Stack]) -> fmt::Result {
    let mut unread = stacks.iter().filter(|stack| stack.names_unread).peekable();
    if unread.peek().is_none() {
        if lack_lines(stacks) {
            return write_broken(f, &format!("\n{WITHOUT_LINES}"));
        }
        // The program's own path is that of the stripped file.
        return match stacks.iter().find_map(|stack| command(stack, None)) {
            Some(command) => {
                write_broken(f, &format!("\n{STRIPPED}"))?;
                write!(f, "\n{command}")
            }
            None => Ok(()),
        };
    }
    write!(f, "\n{UNREAD}")?;
    let program = env::current_exe().ok();
    match unread.find_map(|stack| command(stack, program.as_deref())) {
        Some(command) => write!(f, ". To read more:\n{command}"),
        // The calls are in the system's libraries, which rarely name more than their public functions.
        None => Ok(()),
    }
}

/// Whether the program was built without line tables. Called when all names are known.
fn lack_lines(stacks: &[&Stack]) -> bool {
    let mut frames = stacks.iter().flat_map(|stack| &stack.frames);
    stacks.iter().any(|stack| stack.lacks_lines) && frames.all(|frame| frame.file.is_none())
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

/// The path of the program if the module is the program and the path is short, otherwise the name of the
/// module. Escaped.
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
            lacks_lines: false,
        }
    }

    fn note(stacks: &[Stack]) -> String {
        struct Note<'a>(&'a [Stack]);
        impl fmt::Display for Note<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let stacks: Vec<_> = self.0.iter().collect();
                write_unread(f, &stacks)
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
        let expected = format!("\n{UNREAD}. To read more:\n  addr2line -f -C -e ");
        assert!(note(&[stack]).starts_with(&expected));
    }

    #[test]
    fn calls_of_a_stripped_program_come_with_the_command_that_names_them() {
        let mut stack = unread(vec![call("libc.so.6", 0xcf545), call("store", 0x1a2b3)]);
        stack.names_unread = false;
        let command = "  addr2line -f -C -e store 0x1a2b3";
        assert_eq!(note(&[stack]), format!("\n{STRIPPED}\n{command}"));
        // A library that was stripped, in a program that was not.
        let mut own = call("store", 0x1a2b3);
        own.function = "store::flush".to_owned();
        let mut without_lines = unread(vec![own]);
        (without_lines.names_unread, without_lines.lacks_lines) = (false, true);
        let mut of_library = unread(vec![call("plugin.so", 0x77)]);
        of_library.names_unread = false;
        let both = note(&[of_library, without_lines]);
        assert_eq!(both, format!("\n{WITHOUT_LINES}"));
        let mut of_system = unread(vec![call("libc.so.6", 0xcf545)]);
        of_system.names_unread = false;
        assert_eq!(note(&[of_system]), "");
    }

    #[test]
    fn names_of_the_system_that_were_not_read_come_without_a_command() {
        // The names of the program were read.
        let mut own = call("store", 0x1a2b3);
        own.function = "store::flush".to_owned();
        let stack = unread(vec![call("libc.so.6", 0xcf545), own]);
        assert_eq!(note(&[stack]), format!("\n{UNREAD}"));
    }

    #[test]
    fn stacks_without_lines_come_with_the_setting_that_adds_them_unless_one_has_lines() {
        let mut stack = unread(vec![call("libc.so.6", 0xcf545), call("store", 0x1a2b3)]);
        stack.names_unread = false;
        stack.frames[1].function = "store::flush".to_owned();
        assert_eq!(note(&[stack.clone()]), "");
        stack.lacks_lines = true;
        let other = unread(vec![call("store", 0x1a2c4)]);
        let expected = format!("\n{WITHOUT_LINES}");
        assert_eq!(note(&[stack.clone(), stack.clone()]), expected);
        assert!(!note(&[stack.clone(), other]).contains(WITHOUT_LINES));
        let mut with_lines = stack.clone();
        with_lines.frames[1].file = Some("src/store.rs".to_owned());
        assert_eq!(note(&[stack, with_lines]), "");
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
