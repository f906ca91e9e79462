//! The crate quitter exports all that quitter-core does, under the same conditions.

use std::collections::BTreeSet;

const CORE: &str = include_str!("../quitter-core/src/lib.rs");
const FACADE: &str = include_str!("../src/lib.rs");

/// The names that a crate's root exports, each with its `cfg` condition.
fn exports(root: &str) -> BTreeSet<(&str, &str)> {
    let mut exports = BTreeSet::new();
    let (mut condition, mut statement) = ("", None);
    let mut at = 0;
    for line in root.split_inclusive('\n') {
        if line.starts_with("#[cfg(") {
            condition = line.trim();
        } else if line.starts_with("pub use ") {
            statement = Some(at);
        }
        at += line.len();
        if line.trim_end().ends_with(';') {
            let names = statement.take().map(|from| names(&root[from..at]));
            exports.extend(names.into_iter().flatten().map(|name| (name, condition)));
            condition = "";
        }
    }
    exports
}

/// The names in a statement such as `pub use a::{B, C};`.
fn names(statement: &str) -> impl Iterator<Item = &str> {
    let (_, names) = statement.rsplit_once("::").unwrap();
    let names = names.trim_end().trim_matches(['{', '}', ';']);
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

#[test]
fn the_facade_exports_all_that_the_core_does() {
    let core = exports(CORE);
    let attributes = ["main", "routine"].map(|name| (name, "#[cfg(feature = \"macros\")]"));
    let inside = ("__private", "");
    let of_facade = exports(FACADE);
    let of_core: BTreeSet<_> = core
        .iter()
        .copied()
        .chain(attributes)
        .chain([inside])
        .collect();
    let differ: Vec<_> = of_core.symmetric_difference(&of_facade).collect();
    assert!(differ.is_empty(), "in one of the crates only: {differ:?}");
    assert!(
        core.contains(&("Quitter", "")) && core.len() > 40,
        "{core:?}"
    );
}
