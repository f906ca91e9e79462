//! On a terminal, a slow quit is drawn, and only the report is left behind.

#![cfg(all(unix, feature = "progress"))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;
#[path = "common/screen.rs"]
mod screen;

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal::SIGTERM;
use quitter::{ExitReport, MainQuitter, MainQuitterBuilder, Notice, Output, QuitSource};

use common::{Ended, PATIENCE, Process, command_for, hang};
use screen::Screen;

/// A program whose stderr is a terminal.
struct OnTerminal {
    program: Process,
    terminal: Terminal,
}

struct Terminal {
    output: Receiver<String>,
    screen: Screen,
    /// Everything that was written.
    raw: String,
}

impl OnTerminal {
    fn start(command: &mut Command, lines: u16, columns: u16) -> Self {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).expect("there are terminals");
        let program = Process::start_into(command, Stdio::piped(), pty.slave);
        // The command would keep a handle to the terminal open.
        command.stderr(Stdio::null());
        let (send, output) = unbounded();
        let mut master = File::from(pty.master);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading ends with an error once all handles of the terminal are closed.
            while let Ok(read @ 1..) = master.read(&mut bytes) {
                let _ = send.send(String::from_utf8_lossy(&bytes[..read]).into_owned());
            }
        });
        let terminal = Terminal {
            output,
            screen: Screen::new(lines.into(), columns.into()),
            raw: String::new(),
        };
        Self { program, terminal }
    }

    #[track_caller]
    fn shows(&mut self, texts: &[&str]) {
        self.terminal.shows(texts);
    }

    /// Waits for the end of the program and of its output.
    #[track_caller]
    fn end(self) -> (Ended, Terminal) {
        let ended = self.program.end();
        let mut terminal = self.terminal;
        loop {
            match terminal.output.recv_timeout(PATIENCE) {
                Ok(text) => terminal.take(&text),
                Err(RecvTimeoutError::Disconnected) => return (ended, terminal),
                Err(RecvTimeoutError::Timeout) => panic!("somebody holds the terminal"),
            }
        }
    }
}

impl Terminal {
    /// Waits until the screen has all of these texts.
    #[track_caller]
    fn shows(&mut self, texts: &[&str]) {
        let until = Instant::now() + PATIENCE;
        while !texts.iter().all(|text| self.screen.text().contains(text)) {
            match self.output.recv_deadline(until) {
                Ok(text) => self.take(&text),
                Err(_) => panic!("no {texts:?} in\n{}", self.screen.text()),
            }
        }
    }

    fn take(&mut self, text: &str) {
        self.raw += text;
        self.screen.write(text);
    }

    /// Asserts that only lines of the program and of the report are left on the screen.
    #[track_caller]
    fn is_clean(&self) {
        let text = self.screen.text();
        assert!(!text.contains("Waiting for"), "{text}");
        assert_eq!(self.screen.before_cursor(), "", "{text}");
        assert!(self.screen.wraps());
        assert_eq!(self.screen.unknown, [""; 0], "{}", self.raw);
    }

    #[track_caller]
    fn has_drawn_nothing(&self) {
        assert!(!self.raw.contains('\x1b'), "{}", self.raw);
    }
}

fn on_terminal(command: &mut Command) -> OnTerminal {
    OnTerminal::start(command.env("TERM", "xterm"), 24, 80)
}

fn builder(timeout: Duration) -> MainQuitterBuilder {
    let builder = MainQuitter::builder().timeout(timeout);
    builder.source(QuitSource::os_signal())
}

/// A program with a stuck routine below a child.
fn stuck(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        let store = main.child("store")?;
        store.routine("flusher").add(|q| {
            q.set_status("flushing 3/10");
            hang()
        })?;
        main.send_quit();
        Ok::<_, quitter::AddRoutineError>(())
    })
}

const A_SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_quit_that_takes_its_time_is_drawn_and_leaves_only_the_report() {
    let mut command = command_for(|| stuck(builder(3 * A_SECOND)));
    let mut terminal = on_terminal(&mut command);
    terminal.shows(&[
        "Received quit from send_quit",
        "Waiting for 1 routine, ",
        " s left  [==",
        "\n  flusher of main/store  running ",
        " s, status \"flushing 3/10\"",
        #[cfg(target_os = "linux")]
        "\", blocked in fute",
    ]);
    let (ended, terminal) = terminal.end();
    ended.with_code(1);
    terminal.is_clean();
    let text = terminal.screen.text();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("Received quit from send_quit"),
        "{text}"
    );
    assert!(lines[1].starts_with("Failed to quit: 1 routine"), "{text}");
    assert_eq!(lines[2], "  main/store");
}

#[test]
fn a_quick_quit_is_not_drawn() {
    let story = || {
        builder(PATIENCE).run(|main| {
            main.routine("quick").add(|q| q.wait_quit()).unwrap();
            main.send_quit();
        })
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let (ended, terminal) = on_terminal(&mut command_for(story)).end();
        ended.with_code(0);
        let text = terminal.screen.text();
        assert!(text.contains("Quit: all routines returned ("), "{text}");
        // On a busy machine, the quit may take longer.
        if ["(0.0 s)", "(0.1 s)"]
            .iter()
            .any(|took| text.contains(took))
        {
            return terminal.has_drawn_nothing();
        }
        assert!(Instant::now() < until, "{text}");
    }
}

#[test]
fn on_a_dumb_terminal_lines_say_who_is_waited_for() {
    let mut command = command_for(|| stuck(builder(3 * A_SECOND)));
    let mut terminal = OnTerminal::start(command.env("TERM", "dumb"), 24, 80);
    terminal.shows(&[
        "Waiting for 1 routine, ",
        "'flusher' of main/store (running",
    ]);
    let (_, terminal) = terminal.end();
    terminal.has_drawn_nothing();
}

#[test]
fn other_output_than_the_default_draws_nothing() {
    let quiet = command_for(|| stuck(builder(A_SECOND).output(Output::Quiet)));
    let (_, terminal) = on_terminal(&mut { quiet }).end();
    terminal.has_drawn_nothing();
}

#[test]
fn a_function_for_notices_draws_nothing() {
    let own = command_for(|| {
        let to_stderr = |notice: &Notice| eprintln!("notice: {notice}");
        stuck(builder(A_SECOND).notices(to_stderr))
    });
    let (_, terminal) = on_terminal(&mut { own }).end();
    terminal.has_drawn_nothing();
    assert!(terminal.screen.text().contains("notice: Failed to quit"));
}

#[test]
fn lines_of_the_program_stay_whole_beside_the_picture() {
    /// More lines than the terminal has.
    const LINES: usize = 16;
    let story = || {
        builder(PATIENCE).run(|main| {
            main.routine("chatty")
                .add(|q| {
                    q.wait_quit();
                    for n in 0..LINES {
                        // The picture leaves room for three lines, and is redrawn four times in the time of three.
                        thread::sleep(Duration::from_millis(140));
                        eprintln!("line {n}");
                    }
                })
                .unwrap();
            main.send_quit();
        })
    };
    let mut command = command_for(story);
    let mut terminal = OnTerminal::start(command.env("TERM", "xterm"), 10, 80);
    terminal.shows(&["line 12\n", "Waiting for 1 routine"]);
    let (ended, terminal) = terminal.end();
    ended.with_code(0);
    terminal.is_clean();
    let text = terminal.screen.text();
    for n in 0..LINES {
        let line = format!("line {n}");
        assert!(
            text.lines().any(|other| other == line),
            "no {line} in\n{text}"
        );
    }
    assert!(
        text.contains("\nline 15\nQuit: all routines returned"),
        "{text}"
    );
}

#[test]
fn a_second_signal_in_the_middle_leaves_a_clean_terminal() {
    let story = || {
        builder(Duration::MAX).run(|main| {
            main.routine("deaf")
                .add(|_| {
                    println!("listening");
                    hang()
                })
                .unwrap();
        })
    };
    let mut terminal = on_terminal(&mut command_for(story));
    terminal.program.wait_for("listening");
    terminal.program.send(SIGTERM);
    terminal.shows(&["Waiting for 1 routine\n", "deaf of main"]);
    terminal.program.send_later(SIGTERM);
    let (ended, terminal) = terminal.end();
    ended.with_code(130);
    terminal.is_clean();
    let text = terminal.screen.text();
    let ends = "\nReceived SIGTERM while quitting: ending now\nFailed to quit: 1 routine";
    assert!(text.contains(ends), "{text}");
}

#[test]
fn many_routines_and_wild_names_fit_the_terminal() {
    let story = || {
        builder(3 * A_SECOND).run(|main| {
            let guards: Vec<_> = (0..50)
                .map(|n| {
                    let name = format!("\x1b[31m名前{n}\r\n{}", "x".repeat(200));
                    main.guard(name).unwrap()
                })
                .collect();
            main.routine("owner")
                .add(move |_| {
                    let _guards = guards;
                    hang()
                })
                .unwrap();
            main.send_quit();
        })
    };
    let mut command = command_for(story);
    let mut terminal = OnTerminal::start(command.env("TERM", "xterm"), 24, 40);
    terminal.shows(&["Waiting for 51 routines", "and 41 more"]);
    let picture = terminal.terminal.screen.text();
    let rows = picture
        .lines()
        .filter(|line| line.contains("of main") || line.contains('名'));
    assert_eq!(rows.count(), 10, "{picture}");
    assert!(
        picture
            .lines()
            .skip(1)
            .all(|line| line.chars().count() <= 40),
        "{picture}"
    );
    let (_, terminal) = terminal.end();
    terminal.is_clean();
}
