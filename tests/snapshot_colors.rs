//! Snapshots are coloured on terminals, unless the environment says otherwise.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::openpty;
use quitter::Quitter;

use common::{Process, command_for};

/// Prints a tree whose root has this name.
fn print(name: &'static str) {
    let root = Quitter::root(name);
    let db = root.child("db").unwrap();
    let _guards = [root.guard("beat"), db.guard("flusher")].map(Result::unwrap);
    let _ = db.quit_and_wait(std::time::Duration::ZERO);
    eprintln!("{}", root.snapshot().for_stderr());
}

/// The command without the variables about colours from this test's environment.
fn clean(mut command: Command) -> Command {
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm");
    command
}

/// The output of the program on a terminal.
fn on_a_terminal(mut command: Command) -> String {
    let pty = openpty(None, None).unwrap();
    let program = Process::start_into(&mut command, Stdio::piped(), pty.slave);
    drop(command);
    program.end().with_code(0);
    let mut said = Vec::new();
    // A terminal ends with an error. The bytes read before that are kept.
    let _ = File::from(pty.master).read_to_end(&mut said);
    String::from_utf8(said).unwrap()
}

fn is_colored(said: &str) -> bool {
    assert!(said.contains("main"), "{said}");
    said.contains('\u{1b}')
}

#[test]
fn names_have_the_colour_of_their_state_on_a_terminal() {
    let said = on_a_terminal(clean(command_for(|| print("main"))));
    let colors = [
        ("34", "main"),
        ("32", "beat"),
        ("33", "db"),
        ("31", "flusher"),
    ];
    for (color, name) in colors {
        let colored = format!("\u{1b}[{color}m{name}\u{1b}[0m");
        assert!(said.contains(&colored), "no {colored:?} in {said:?}");
    }
}

#[test]
fn a_file_or_a_pipe_gets_no_colours() {
    let mut command = clean(command_for(|| print("main")));
    let said = Process::start(&mut command).end().with_code(0).stderr;
    assert!(!is_colored(&said), "{said:?}");
}

#[test]
fn the_environment_can_turn_colours_off_and_on() {
    let with = |name: &str, value: &str| {
        let mut command = clean(command_for(|| print("main")));
        command.env(name, value);
        command
    };
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("NO_COLOR", ""),
        ("CLICOLOR", "0"),
        ("TERM", "dumb"),
    ] {
        let said = on_a_terminal(with(name, value));
        assert!(!is_colored(&said), "{name}={value}: {said:?}");
    }
    let forced = Process::start(&mut with("CLICOLOR_FORCE", "1")).end();
    assert!(is_colored(&forced.with_code(0).stderr));
}
