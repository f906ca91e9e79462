//! Draws docs/terminal-light.svg and docs/terminal-dark.svg: a terminal on which the example `stuck` runs,
//! hangs, and is ended by a second Ctrl-C. All of it is real: a shell runs on a pseudoterminal, into which this
//! program types as a user would. The program draws what the terminal shows, with typed text in bold.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anstyle::{AnsiColor, Color, RgbColor, Style};
use anstyle_svg::{Palette, Term, VGA};
use pty_process::Size;
use pty_process::blocking::open;

const COMMAND: &str = "cargo run -q -p quitter-examples --bin stuck -- shared-lock";
const PROMPT: &str = "$ ";
const CTRL_C: &str = "\u{3}";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new("cargo")
        .args(["build", "-q", "-p", "quitter-examples", "--bin", "stuck"])
        .current_dir(&root)
        .stdin(Stdio::null())
        .status();
    assert!(built.expect("cargo").success(), "cargo build");
    let screen = Terminal::start(&root).tell_the_story();
    println!("{screen}");
    let drawn = styled(&screen);
    for (name, theme) in [("light", light()), ("dark", dark())] {
        let file = root.join(format!("docs/terminal-{name}.svg"));
        fs::write(file, theme.render_svg(&drawn)).expect("a picture");
    }
}

/// A shell on a terminal.
struct Terminal {
    shell: Child,
    keyboard: File,
    bytes: Receiver<Vec<u8>>,
    screen: String,
    /// How much of the screen has been waited for.
    seen: usize,
}

impl Terminal {
    fn start(folder: &Path) -> Self {
        let (terminal, inside) = open().expect("a terminal");
        terminal.resize(Size::new(50, 100)).expect("a size");
        let shell = pty_process::blocking::Command::new("sh")
            .arg("-i")
            .env("PS1", PROMPT)
            .env("TERM", "dumb")
            .current_dir(folder)
            .spawn(inside)
            .expect("a shell");
        let keyboard = File::from(OwnedFd::from(terminal));
        let mut side = keyboard.try_clone().expect("a handle");
        let (sender, bytes) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = side.read(&mut buffer) {
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        Self {
            shell,
            keyboard,
            bytes,
            screen: String::new(),
            seen: 0,
        }
    }

    /// Plays the scene, and returns what the terminal shows in the end.
    fn tell_the_story(mut self) -> String {
        self.wait_for(PROMPT);
        self.type_in(COMMAND);
        self.type_in("\n");
        self.wait_for("Press Ctrl-C.");
        // Gives the routines time to get to their lock.
        thread::sleep(Duration::from_millis(300));
        self.type_in(CTRL_C);
        self.wait_for("Waiting for 2 routines");
        thread::sleep(Duration::from_millis(400));
        self.type_in(CTRL_C);
        self.wait_for(&format!("\n{PROMPT}"));
        self.type_in("echo $?\n");
        self.wait_for("130\n");
        self.type_in("exit\n");
        self.shell.wait().expect("it ends");
        let (shown, _) = self.screen.rsplit_once("130\n").expect("waited for");
        format!("{shown}130")
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("a shell that reads");
    }

    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let bytes = self.bytes.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen += &String::from_utf8_lossy(&bytes).replace('\r', "");
        }
    }
}

/// Shows typed text in bold, and the prompt and the keys in colours.
fn styled(screen: &str) -> String {
    let bold = Style::new().bold();
    let prompt = bold.fg_color(Some(AnsiColor::Green.into()));
    let key = bold.fg_color(Some(AnsiColor::Red.into()));
    let line = |line: &str| {
        if let Some(command) = line.strip_prefix(PROMPT) {
            format!("{prompt}{PROMPT}{prompt:#}{bold}{command}{bold:#}")
        } else if let Some(rest) = line.strip_prefix("^C") {
            format!("{key}^C{key:#}{rest}")
        } else {
            line.to_owned()
        }
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn light() -> Term {
    theme(
        RgbColor(0x1f, 0x23, 0x28),
        RgbColor(0xf6, 0xf8, 0xfa),
        RgbColor(0x1a, 0x7f, 0x37),
        RgbColor(0xcf, 0x22, 0x2e),
    )
}

fn dark() -> Term {
    theme(
        RgbColor(0xe6, 0xed, 0xf3),
        RgbColor(0x16, 0x1b, 0x22),
        RgbColor(0x3f, 0xb9, 0x50),
        RgbColor(0xff, 0x7b, 0x72),
    )
}

fn theme(text: RgbColor, background: RgbColor, green: RgbColor, red: RgbColor) -> Term {
    let Palette(mut colors) = VGA;
    colors[AnsiColor::Green as usize] = green;
    colors[AnsiColor::Red as usize] = red;
    Term::new()
        .palette(Palette(colors))
        .fg_color(Color::Rgb(text))
        .bg_color(Color::Rgb(background))
}
