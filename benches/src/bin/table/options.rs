//! The command line.

use crate::row::{Row, When};

const USAGE: &str = "\
usage: table [--rounds N] [--only WORD,..] [--builds] [--smoke] [--write]
  --rounds N      how often everything is run (9)
  --only WORD,..  only the rows with one of these in their name or that of their workload
  --builds        clean builds as well: a minute a round
  --smoke         everything once, small: does it still run?
  --write         write docs/performance.md and its plots";

/// The options of one run.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    only: Vec<String>,
    builds: bool,
    pub(crate) smoke: bool,
    pub(crate) write: bool,
}

impl Options {
    pub(crate) fn from_command_line() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|| {
            eprintln!("{USAGE}");
            std::process::exit(2)
        })
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            rounds: 9,
            only: Vec::new(),
            builds: false,
            smoke: false,
            write: false,
        };
        while let Some(argument) = arguments.next() {
            match &argument[..] {
                "--rounds" => options.rounds = arguments.next()?.parse().ok()?,
                "--only" => {
                    options.only = arguments.next()?.split(',').map(str::to_owned).collect()
                }
                "--builds" => options.builds = true,
                "--smoke" => options.smoke = true,
                "--write" => options.write = true,
                _ => return None,
            }
        }
        // A page with some of the rows must not replace the page with all of them.
        let writes_less = options.write && (options.smoke || !options.only.is_empty());
        (!writes_less && options.rounds > 0).then_some(options)
    }

    /// The rows to run, at the sizes to run.
    pub(crate) fn pick(&self, rows: &[Row]) -> Vec<Row> {
        let wanted = rows.iter().filter(|row| self.wants(row));
        let sized = |row: &Row| Row {
            sizes: if self.smoke && !row.sizes.is_empty() {
                &[100]
            } else {
                row.sizes
            },
            ..*row
        };
        wanted.map(sized).collect()
    }

    fn wants(&self, row: &Row) -> bool {
        let has = |word: &String| row.what.contains(word) || row.workload.contains(word);
        let is_time = match row.when {
            When::Always => true,
            When::Builds => self.builds,
        };
        is_time && (self.only.is_empty() || self.only.iter().any(has))
    }
}
