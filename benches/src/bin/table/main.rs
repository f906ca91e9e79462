//! Runs the whole benchmark suite in rounds, and prints one table. See the package's README.

mod built;
mod goal;
mod machine;
mod measure;
mod options;
mod page;
mod plot;
mod report;
mod row;
mod rows;

use built::Built;
use measure::{Job, Measured};
use options::Options;
use row::Row;

fn main() {
    let options = Options::from_command_line();
    let rows = options.pick(rows::ROWS);
    let jobs = jobs(&rows);
    let built = Built::new();
    let mut measured = Measured::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        measured.round(&jobs, &built, options.smoke);
    }
    let lines = report::lines(&rows, &measured);
    println!("{}", report::table(&lines));
    println!("{}", report::growth(&rows, &measured));
    if options.write {
        page::write(&rows, &lines, &measured, options.rounds);
    }
}

/// The jobs of a round. First comes each job once, since several rows may show figures of the same run; then
/// again those that run more often, and so on.
fn jobs(rows: &[Row]) -> Vec<Job> {
    let most = rows.iter().map(|row| row.often).max().unwrap_or(0);
    let mut all = Vec::new();
    for pass in 0..most {
        let mut jobs = Vec::new();
        let rows = rows.iter().filter(|row| row.often > pass);
        for job in rows.flat_map(Row::jobs) {
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        }
        all.extend(jobs);
    }
    all
}
