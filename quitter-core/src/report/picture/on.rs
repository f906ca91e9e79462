//! With the feature: when there is a picture, and how it gets onto the terminal.

use std::fs::File;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::render::Renderer;
use crate::report::console;
use crate::report::timeouts::Timeouts;
use crate::sync::lock_std;
use crate::system;
use crate::tree::LiveAt;

/// The time until the first picture. A quit that is over by then is not drawn.
const FIRST: Duration = Duration::from_millis(200);

/// The minimum time between two pictures.
const APART: Duration = Duration::from_millis(100);

/// Finding the live routines may take one part in so many of the time.
const SHARE: u32 = 20;

/// The maximum number of routines with a row of their own.
const ROWS: usize = 10;

/// Empty lines between the cursor and the picture. The program can print so many lines, and one more, before
/// the picture is drawn again.
const GAP: usize = 2;

/// The number of lines of the terminal that the picture leaves to the program.
const SPARED: usize = GAP + 2;

/// Erases everything after and below the cursor, which keeps its position. First makes sure that there is a
/// line below. Not in one step: tmux pushes a screen that is cleared as a whole into its history.
const ERASE: &str = "\x1bD\x1b[A\x1b7\x1b[K\x1b[B\r\x1b[J\x1b8";

/// Draws the quit. The watcher owns it and finds the live routines; the console's thread makes the text.
pub(crate) struct Picture {
    quit_at: Instant,
    next: Instant,
    /// Only the console's thread uses it.
    renderer: Arc<Mutex<Renderer>>,
}

impl Picture {
    /// `None` if this program's stderr is not for pictures.
    pub(crate) fn start(quit_at: Instant) -> Option<Self> {
        console::takes_pictures().then(|| Self {
            quit_at,
            next: quit_at + FIRST,
            renderer: Arc::new(Mutex::new(Renderer::new())),
        })
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Draws the live routines, unless a look could not find them all. Call this right after the look, whose
    /// duration it measures.
    pub(crate) fn draw(&mut self, live: Option<Vec<LiveAt>>, deadline: Option<Instant>) {
        let now = Instant::now();
        let looked_for = now.saturating_duration_since(self.next);
        self.next = now + (looked_for.min(APART) * SHARE).max(APART);
        // While the terminal takes nothing, the last picture is still waiting to be written.
        let is_behind = Arc::strong_count(&self.renderer) > 1;
        let Some(live) = live.filter(|live| !live.is_empty() && !is_behind) else {
            return;
        };
        let renderer = Arc::clone(&self.renderer);
        let quit_at = self.quit_at;
        console::queue_and_wake(move || {
            let mut renderer = lock_std(&renderer);
            console::draw(|size| {
                let rows = size.lines.saturating_sub(SPARED);
                let count: usize = live.iter().map(|at| at.routines.len()).sum();
                let first = Timeouts::of_wait(first(live, ROWS), quit_at.elapsed(), APART);
                let scene = Scene {
                    routines: &first,
                    count,
                    passed: quit_at.elapsed(),
                    timeout: deadline.map(|at| at.saturating_duration_since(quit_at)),
                };
                below_the_cursor(&renderer.rows(&scene, size.columns, rows))
            });
        });
    }
}

/// The facts that a picture shows.
pub(super) struct Scene<'a> {
    /// The first of the live routines.
    pub(super) routines: &'a Timeouts,
    /// The number of all of them.
    pub(super) count: usize,
    /// The time since the quit event.
    pub(super) passed: Duration,
    pub(super) timeout: Option<Duration>,
}

/// Keeps the first `room` routines of a look.
fn first(mut live: Vec<LiveAt>, mut room: usize) -> Vec<LiveAt> {
    for at in &mut live {
        at.routines.truncate(room);
        room -= at.routines.len();
    }
    live.retain(|at| !at.routines.is_empty());
    live
}

/// The text that draws `rows` below the cursor, which keeps its position.
fn below_the_cursor(rows: &[String]) -> String {
    let lines = rows.len() + GAP;
    // Makes room below the cursor, which keeps its column.
    let room = "\x1bD".repeat(lines);
    let gap = "\r\n".repeat(GAP);
    let rows: String = rows.iter().map(|row| format!("\r\n{row}")).collect();
    // Without wrapping: a character may take more columns than were counted.
    format!("{room}\x1b[{lines}A{ERASE}\x1b7\x1b[?7l{gap}{rows}\x1b[?7h\x1b8")
}

/// Whether there is a picture on the terminal.
pub(crate) struct Shown(AtomicU8);

const NONE: u8 = 0;
const DRAWN: u8 = 1;
const OVER: u8 = 2;

impl Shown {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(NONE))
    }

    /// Records that a picture is about to be drawn. Returns `false` if none may be drawn any more.
    pub(crate) fn begin(&self) -> bool {
        let drawn = |state| (state != OVER).then_some(DRAWN);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, drawn).is_ok()
    }

    /// The text that erases the picture, if there is one.
    pub(crate) fn erase(&self) -> &'static str {
        let erased = |state| (state == DRAWN).then_some(NONE);
        let order = Ordering::Relaxed;
        match self.0.fetch_update(order, order, erased) {
            Ok(_) => ERASE,
            Err(_) => "",
        }
    }

    /// Like [`erase`](Self::erase), and no picture may be drawn after it.
    pub(crate) fn end(&self) -> &'static str {
        match self.0.swap(OVER, Ordering::Relaxed) {
            DRAWN => ERASE,
            _ => "",
        }
    }
}

/// The terminal's size, if pictures can be drawn there: the terminal is large enough, not dumb and not in raw
/// mode, and this process is in the foreground.
pub(crate) fn canvas(stderr: &File) -> Option<system::TerminalSize> {
    const NARROWEST: usize = 20;
    const LOWEST: usize = SPARED + 2;
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    let is_usual = !is_dumb
        && stderr.is_terminal()
        && !system::is_raw_terminal(stderr)
        && system::is_in_foreground(stderr);
    let size = system::terminal_size(stderr).filter(|_| is_usual)?;
    (size.columns >= NARROWEST && size.lines >= LOWEST).then_some(size)
}
