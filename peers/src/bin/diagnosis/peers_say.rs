//! The last lines that other libraries print after the signal, in the same hangs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peers::hangs::KINDS;

const PROGRAMS: [&str; 4] = [
    "tokio_graceful_shutdown",
    "tokio_util",
    "ctrlc_by_hand",
    "signal_hook_by_hand",
];

/// A program that takes longer than this after the signal counts as never ending. Its timeout is 1 s.
const PATIENCE: Duration = Duration::from_secs(4);

struct Said {
    text: String,
    has_ended: bool,
}

pub(crate) fn table() -> String {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--bins", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stdin(Stdio::null())
        .status();
    assert!(built.expect("cargo").success(), "cargo build --bins");
    let mut table = format!("| case | {} |\n", PROGRAMS.join(" | ").replace('_', "-"));
    table += &format!("| --- |{}\n", " --- |".repeat(PROGRAMS.len()));
    let mut texts = String::new();
    for kind in KINDS {
        eprintln!("{kind}: running the other libraries");
        let said = thread::scope(|scope| {
            let runs = PROGRAMS.map(|program| scope.spawn(move || run(program, kind)));
            runs.map(|run| run.join().expect("it is seen"))
        });
        let cells: Vec<_> = said.iter().map(cell).collect();
        table += &format!("| `{kind}` | {} |\n", cells.join(" | "));
        if kind == KINDS[0] {
            for (program, Said { text, .. }) in PROGRAMS.iter().zip(&said) {
                let text = if text.is_empty() { "(nothing)" } else { text };
                texts += &format!("{}:\n\n```text\n{text}\n```\n\n", program.replace('_', "-"));
            }
        }
    }
    format!(
        "{table}\nAll that they print after the signal, in the case `{}`:\n\n{texts}",
        KINDS[0]
    )
}

fn cell(said: &Said) -> String {
    let last = match said.text.lines().next_back() {
        None => "nothing".to_owned(),
        Some(line) => format!("`{}`", line.trim()),
    };
    let ends = if said.has_ended { "ends" } else { "never ends" };
    format!("{last}; {ends}")
}

fn run(program: &str, kind: &str) -> Said {
    let own = std::env::current_exe().expect("a path");
    let debug = own
        .parent()
        .and_then(|folder| folder.parent())
        .expect("a target folder");
    let mut child = Command::new(debug.join("debug").join(program))
        .arg(kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a built program");
    let _stdin = child.stdin.take();
    let (line, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let reader = thread::spawn(move || {
        let lines = stderr.lines().map_while(Result::ok);
        lines.for_each(|text| drop(line.send(text)));
    });
    // The program sets up its handlers and the worker right after its first line.
    let _ready = lines.recv_timeout(PATIENCE);
    thread::sleep(Duration::from_millis(500));
    while lines.try_recv().is_ok() {}
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    kill(pid, Signal::SIGINT).expect("it runs");
    let until = Instant::now() + PATIENCE;
    let mut has_ended = false;
    while !has_ended && Instant::now() < until {
        has_ended = child.try_wait().is_ok_and(|status| status.is_some());
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    reader.join().expect("reads to the end");
    let text: Vec<_> = lines.try_iter().collect();
    Said {
        text: text.join("\n"),
        has_ended,
    }
}
