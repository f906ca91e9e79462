//! A snapshot as a tree of coloured lines, for terminals.

use std::env;
use std::fmt;
use std::io::{IsTerminal, stderr};

use anstyle::{AnsiColor, Style};

use super::Snapshot;
use super::rows::Item;
use super::text::write;
use crate::routine::kind::RoutineState;

impl Snapshot {
    /// Returns the snapshot as [`Display`](fmt::Display) shows it, with names coloured by state. Quitters
    /// are blue, or yellow while they quit. Routines are green, cyan while they wait for others, and red if
    /// they have failed or are live after the deadline.
    ///
    /// The text always contains the escape sequences for the colours; see [`for_stderr`](Self::for_stderr).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// assert_eq!(root.snapshot().ansi().to_string(), "\u{1b}[1m\u{1b}[34mmain\u{1b}[0m");
    /// ```
    pub fn ansi(&self) -> impl fmt::Display + '_ {
        Shown {
            snapshot: self,
            colored: true,
        }
    }

    /// Returns the snapshot [coloured](Self::ansi) if stderr is a terminal that shows colours, and plain
    /// otherwise.
    ///
    /// The environment may ask for plain text: if `NO_COLOR` is set, even to nothing, `CLICOLOR` is 0, or
    /// `TERM` is `dumb`. With `CLICOLOR_FORCE`, the text is coloured even without a terminal.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// eprintln!("{}", root.snapshot().for_stderr());
    /// ```
    pub fn for_stderr(&self) -> impl fmt::Display + '_ {
        Shown {
            snapshot: self,
            colored: stderr_shows_colors(),
        }
    }
}

fn stderr_shows_colors() -> bool {
    if env::var_os("NO_COLOR").is_some() || anstyle_query::clicolor() == Some(false) {
        return false;
    }
    if anstyle_query::clicolor_force() {
        return true;
    }
    // A Windows console has to be asked for colours.
    let asked = || anstyle_query::windows::enable_ansi_colors().unwrap_or(true);
    stderr().is_terminal() && anstyle_query::term_supports_color() && asked()
}

struct Shown<'a> {
    snapshot: &'a Snapshot,
    colored: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.snapshot, |name, item| match style(item) {
            Some(style) if self.colored => format!("{style}{name}{style:#}"),
            _ => name,
        })
    }
}

fn style(item: &Item<'_>) -> Option<Style> {
    Some(match item {
        Item::Quitter { quitter, .. } => {
            let is_quitting = quitter.quit.is_some();
            let color = if is_quitting {
                AnsiColor::Yellow
            } else {
                AnsiColor::Blue
            };
            color.on_default().bold()
        }
        Item::Routines { of, alike } => match alike.first.state {
            _ if of.is_overdue() => AnsiColor::Red,
            RoutineState::Failed => AnsiColor::Red,
            RoutineState::Waiting => AnsiColor::Cyan,
            RoutineState::Starting | RoutineState::Running => AnsiColor::Green,
        }
        .on_default(),
        Item::More { .. } => return None,
    })
}
