//! The README's table has the right numbers of lines for five examples, and for the same programs by hand
//! in `peers`.

use std::fs;
use std::path::Path;

const README: &str = include_str!("../../README.md");

/// The rows of the table: the program, the example's file, the file by hand, and its libraries.
const PROGRAMS: [(&str, &str, &str, &str); 5] = [
    (
        "TCP echo server on threads",
        "06_tcp_server_threads",
        "tcp_server_by_hand",
        "std, ctrlc",
    ),
    (
        "pool of workers",
        "05_workers",
        "workers_by_hand",
        "std, ctrlc",
    ),
    (
        "command-line tool with a progress bar",
        "04_progress",
        "progress_by_hand",
        "std, ctrlc",
    ),
    (
        "library with a thread, and its tests",
        "10_library",
        "library_by_hand",
        "std, ctrlc",
    ),
    (
        "HTTP server on axum",
        "18_axum_server",
        "axum_server_by_hand",
        "tokio, tokio-util",
    ),
];

/// A link to a file of the repository. Its text is the number of lines without comments and blank lines.
fn lines(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).unwrap();
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let count = text.lines().map(str::trim).filter(is_code).count();
    format!("[{count}]({file})")
}

#[test]
fn the_readme_counts_the_lines_as_they_are() {
    let mut table = String::from(
        "| program | with quitter | by hand | by hand with |\n| --- | --- | --- | --- |\n",
    );
    for (program, example, by_hand, with) in PROGRAMS {
        let example = lines(&format!("quitter-examples/src/bin/{example}.rs"));
        let by_hand = lines(&format!("peers/src/bin/{by_hand}.rs"));
        table += &format!("| {program} | {example} | {by_hand} | {with} |\n");
    }
    assert!(
        README.contains(&table),
        "the table in README.md should be\n{table}"
    );
}
