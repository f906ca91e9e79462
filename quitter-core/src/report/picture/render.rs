//! The rows of the picture, laid out by indicatif on a terminal that only exists in memory.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::on::Scene;
use crate::report::escape::cut;
use crate::report::standing::Standing;
use crate::report::text::{Count, Seconds};
use crate::sync::lock_std;

const WITH_BAR: &str = "{spinner} {prefix}  [{bar:20}]\n{msg}";
const WITHOUT: &str = "{spinner} {prefix}\n{msg}";

/// The minimum width of a terminal for a line with a bar, in columns.
const WIDE: usize = 70;

pub(super) struct Renderer {
    bar: ProgressBar,
    page: Arc<Page>,
}

impl Renderer {
    pub(super) fn new() -> Self {
        let page = Arc::new(Page::default());
        let target = ProgressDrawTarget::term_like(Box::new(Paper(Arc::clone(&page))));
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            page,
        }
    }

    /// Lays out at most `most` rows of at most `columns` columns.
    pub(super) fn rows(&mut self, scene: &Scene<'_>, columns: usize, most: usize) -> Vec<String> {
        let left = |timeout: Duration| timeout.saturating_sub(scene.passed);
        let left = scene.timeout.map(left);
        let template = match left {
            Some(_) if columns >= WIDE => WITH_BAR,
            _ => WITHOUT,
        };
        // Any test would notice a template that does not parse.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        let width = u16::try_from(columns).unwrap_or(u16::MAX);
        self.page.width.store(width, Ordering::Relaxed);
        if let Some(timeout) = scene.timeout {
            self.bar.set_length(millis(timeout));
            self.bar.set_position(millis(scene.passed.min(timeout)));
        }
        let header = header(scene.count, left);
        // The spinner and a space take two columns.
        self.bar.set_prefix(shortened(&header, columns - 2));
        let routines = routines(scene, columns, most.saturating_sub(1));
        self.bar.set_message(routines.join("\n"));
        lock_std(&self.page.text).clear();
        self.bar.tick();
        self.page.rows(columns, most)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// "Waiting for 3 routines, 3.9 s left".
fn header(count: usize, left: Option<Duration>) -> String {
    let mut header = format!("Waiting for {}", Count(count, "routine"));
    if let Some(left) = left {
        header += &format!(", {} left", Seconds(left));
    }
    header
}

/// A row for each of the first routines, and one that counts the others.
fn routines(scene: &Scene<'_>, columns: usize, most: usize) -> Vec<String> {
    const NAME: usize = 30;
    const PATH: usize = 40;
    let listed = scene.routines.len();
    let named = match listed == scene.count && listed <= most {
        true => listed,
        false => listed.min(most.saturating_sub(1)),
    };
    let rows = scene.routines.first(named).map(|(path, routine)| {
        let name = cut(&routine.name, NAME);
        let running = Seconds(routine.running_for);
        let mut row = format!("  {name} of {}  running {running}", path.shown(PATH));
        let stands = Standing::of(&routine.stands);
        let stands: Vec<_> = stands.iter().flat_map(|stands| stands.parts(1)).collect();
        for fact in routine.status_fact().into_iter().chain(stands) {
            row += &format!(", {fact}");
        }
        row
    });
    let mut rows: Vec<_> = rows.collect();
    if scene.count > named {
        rows.push(format!("  and {} more", scene.count - named));
    }
    rows.iter().map(|row| shortened(row, columns)).collect()
}

/// Cuts off the end of a row that is too long, and puts "…" in its place.
fn shortened(row: &str, columns: usize) -> String {
    match row.chars().nth(columns) {
        None => row.to_owned(),
        Some(_) => row
            .chars()
            .take(columns.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// The text that indicatif has drawn.
#[derive(Debug, Default)]
struct Page {
    width: AtomicU16,
    text: Mutex<String>,
}

impl Page {
    /// Splits the text into rows: indicatif ends a row with a line end, or pads it with spaces.
    fn rows(&self, columns: usize, most: usize) -> Vec<String> {
        let text = lock_std(&self.text);
        let text: Vec<char> = text.chars().filter(|letter| *letter != '\r').collect();
        let rows = text.split(|letter| *letter == '\n');
        let rows = rows.flat_map(|row| row.chunks(columns));
        let rows = rows.map(|row| row.iter().collect::<String>().trim_end().to_owned());
        let rows = rows.filter(|row| !row.is_empty());
        rows.take(most).collect()
    }
}

/// A terminal that only records text: it ignores cursor movements and clearing.
#[derive(Debug)]
struct Paper(Arc<Page>);

impl TermLike for Paper {
    fn width(&self) -> u16 {
        self.0.width.load(Ordering::Relaxed)
    }

    fn height(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        *lock_std(&self.0.text) += &format!("{text}\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        *lock_std(&self.0.text) += text;
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, feature = "process"))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::Quitter;

    #[test]
    fn a_process_shows_its_command_as_it_does_in_the_report() {
        let root = Quitter::root("main");
        let mut command = Command::new("sleep");
        root.add_process(command.arg("100")).unwrap();
        let routines = root.wait_done(Duration::ZERO).unwrap_err();
        let scene = Scene {
            count: 1,
            routines: &routines,
            passed: Duration::ZERO,
            timeout: None,
        };
        let rows = Renderer::new().rows(&scene, 200, 2);
        let row = rows.last().unwrap();
        assert!(row.contains(", command \"sleep 100\""), "{row}");
        assert!(!row.contains("status"), "{row}");
        root.quit_and_wait(Duration::from_secs(20)).unwrap();
    }
}
