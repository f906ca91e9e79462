//! The page docs/performance.md and its plots.

use std::fs;
use std::path::Path;

use crate::machine;
use crate::measure::Measured;
use crate::plot;
use crate::report::{self, Line};
use crate::row::Row;

/// Writes the page and the plots.
pub(crate) fn write(rows: &[Row], lines: &[Line<'_>], measured: &Measured, rounds: usize) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let plots = docs.join("performance");
    fs::create_dir_all(&plots).expect("a folder for the plots");
    let mut images = String::new();
    for row in lines.iter().map(|line| line.row) {
        let Some(name) = row.plot else { continue };
        let image = format!(
            "![{}](performance/{name}.svg)\n\n",
            row.what.replace('`', "")
        );
        if !images.contains(&image) {
            plot::draw(row, measured, &plots.join(name).with_extension("svg"));
            images.push_str(&image);
        }
    }
    let page = format!(
        include_str!("page.md"),
        machine = machine::facts(),
        day = machine::today(),
        rounds = rounds,
        table = report::table(lines),
        misses = report::misses(lines),
        growth = report::growth(rows, measured),
        plots = images.trim_end(),
    );
    fs::write(docs.join("performance.md"), page).expect("the page");
}
