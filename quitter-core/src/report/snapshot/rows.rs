//! The rows of a snapshot, for its text and its diagrams: a hundred at most, and one that counts the rest.

use super::{LiveQuitter, Snapshot};
use crate::report::alike::Alike;
use crate::report::escape::cut;
use crate::report::text::Count;

/// The maximum number of rows with quitters and groups of routines.
const ROWS: usize = 100;

/// The maximum number of groups of routines that a quitter shows if not everything fits into the rows.
const OF_ONE: usize = 10;

/// The maximum width of the name of a quitter, or of a chain of quitters, in columns.
const NAME_WIDTH: usize = 40;

pub(super) struct Row<'a> {
    /// The row of the quitter above; `None` for the first row, and for the one that counts the rest.
    pub(super) above: Option<usize>,
    pub(super) item: Item<'a>,
}

pub(super) enum Item<'a> {
    Quitter {
        quitter: &'a LiveQuitter,
        /// Its name, after those of the quitters above it that have no row of their own. Escaped and
        /// shortened.
        name: String,
    },
    Routines {
        of: &'a LiveQuitter,
        alike: Alike<'a>,
    },
    /// The quitters and routines without a row.
    More { routines: usize, quitters: usize },
}

/// "and 12 more routines", "and 900 more routines and 870 more quitters".
pub(super) fn more(routines: usize, quitters: usize) -> String {
    let counts = [
        Count(routines, "more routine"),
        Count(quitters, "more quitter"),
    ];
    let counts = counts.iter().filter(|count| count.0 > 0);
    let counts: Vec<_> = counts.map(ToString::to_string).collect();
    format!("and {}", counts.join(" and "))
}

/// The rows of a snapshot, each after that of its parent. The last one counts what does not fit.
pub(super) fn rows(snapshot: &Snapshot) -> Vec<Row<'_>> {
    let all = Rows::of(snapshot, ROWS);
    match all.is_cut {
        false => all.rows,
        true => Rows::of(snapshot, OF_ONE).rows,
    }
}

impl LiveQuitter {
    /// Whether there is nothing to say about the quitter, except that others are below it.
    fn only_leads_on(&self) -> bool {
        let is_told = self.quit.as_ref().is_some_and(|quit| !quit.inherited);
        self.routines.is_empty() && self.waiting == 0 && !is_told
    }
}

struct Rows<'a> {
    snapshot: &'a Snapshot,
    rows: Vec<Row<'a>>,
    /// The number of routines that have been listed, or counted at their quitter.
    routines: usize,
    is_cut: bool,
}

impl<'a> Rows<'a> {
    fn of(snapshot: &'a Snapshot, of_one: usize) -> Self {
        let mut rows = Self {
            snapshot,
            rows: Vec::new(),
            routines: 0,
            is_cut: false,
        };
        rows.fill(of_one);
        rows
    }

    fn fill(&mut self, of_one: usize) {
        let quitters = &self.snapshot.quitters;
        let mut children = vec![0_usize; quitters.len()];
        for parent in quitters.iter().filter_map(|quitter| quitter.parent) {
            // The list is public: the program may have changed it.
            if let Some(children) = children.get_mut(parent) {
                *children += 1;
            }
        }
        // The row of each quitter so far.
        let mut row_of = Vec::new();
        let mut chain = Chain::default();
        for (at, quitter) in quitters.iter().enumerate() {
            if self.rows.len() >= ROWS {
                return self.count_the_rest(at);
            }
            chain.add(quitter);
            row_of.push(self.rows.len());
            if at > 0 && children[at] == 1 && quitter.only_leads_on() {
                continue; // The one below it comes next.
            }
            let chain = std::mem::take(&mut chain);
            let above = chain.parent.and_then(|parent| row_of.get(parent).copied());
            self.rows.push(Row {
                above: above.filter(|above| *above < self.rows.len()),
                item: Item::Quitter {
                    quitter,
                    name: chain.name(),
                },
            });
            self.add_routines(quitter, of_one);
        }
        self.count_the_rest(quitters.len());
    }

    fn add_routines(&mut self, of: &'a LiveQuitter, of_one: usize) {
        let above = Some(self.rows.len() - 1);
        let room = ROWS - self.rows.len();
        let mut listed = 0;
        for alike in Alike::of(&of.routines, of_one.min(room)) {
            listed += alike.count;
            let item = Item::Routines { of, alike };
            self.rows.push(Row { above, item });
        }
        let more = of.routines.len() - listed;
        self.routines += listed;
        self.is_cut |= more > 0;
        if more > 0 && self.rows.len() < ROWS {
            self.routines += more;
            let (routines, quitters) = (more, 0);
            let item = Item::More { routines, quitters };
            self.rows.push(Row { above, item });
        }
    }

    /// Adds a row that counts what is not listed. `listed` is the number of quitters that are.
    fn count_the_rest(&mut self, listed: usize) {
        let routines = self.snapshot.routines().count() - self.routines;
        let quitters = self.snapshot.quitters.len() - listed;
        if routines + quitters > 0 {
            self.is_cut = true;
            let item = Item::More { routines, quitters };
            self.rows.push(Row { above: None, item });
        }
    }
}

/// A chain of quitters, each the only thing in the one before.
#[derive(Default)]
struct Chain<'a> {
    names: Vec<&'a str>,
    parent: Option<usize>,
}

impl<'a> Chain<'a> {
    fn add(&mut self, quitter: &'a LiveQuitter) {
        if self.names.is_empty() {
            self.parent = quitter.parent;
        }
        self.names.push(&quitter.name);
    }

    /// The names joined with slashes, or only the first and the last one if they do not all fit.
    fn name(&self) -> String {
        match &self.names[..] {
            [] => String::new(),
            [one] => cut(one, NAME_WIDTH),
            [first, .., last] => match self.joined() {
                Some(joined) => joined,
                None => {
                    let half = (NAME_WIDTH - 3) / 2;
                    format!("{}/…/{}", cut(first, half), cut(last, half))
                }
            },
        }
    }

    /// `None` if the names do not fit.
    fn joined(&self) -> Option<String> {
        let mut joined = String::new();
        for (i, name) in self.names.iter().enumerate() {
            let slash = if i == 0 { "" } else { "/" };
            joined = joined + slash + &cut(name, NAME_WIDTH);
            if joined.chars().count() > NAME_WIDTH {
                return None;
            }
        }
        Some(joined)
    }
}
