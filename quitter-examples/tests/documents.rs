//! The documents only name files that exist, and the map in ARCHITECTURE.md names all of the core's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/diagnosis.md",
    "docs/exit.md",
    "docs/performance.md",
    "src/guide/processes.md",
    "src/guide/recipes.md",
    "src/guide/io.md",
    "src/guide/guarantees.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// Collects the names of the Rust files below a folder.
fn rust_files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.insert(name.to_owned());
        }
    }
}

#[test]
fn the_map_of_the_core_names_every_file_and_no_other() {
    let map = read("ARCHITECTURE.md");
    let (_, map) = map.split_once("\n## The rooms of").unwrap();
    let (map, _) = map.split_once("\n## ").unwrap();
    let in_code = map.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = in_code
        .filter(|text| text.ends_with(".rs"))
        .map(str::to_owned)
        .collect();
    let mut files = BTreeSet::new();
    rust_files(&root().join("quitter-core/src"), &mut files);
    files.remove("lib.rs");
    let differ: Vec<_> = named.symmetric_difference(&files).collect();
    assert!(
        differ.is_empty(),
        "in ARCHITECTURE.md or in the core only: {differ:?}"
    );
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let images = ["src=\"", "srcset=\""].into_iter().flat_map(|attribute| {
            let values = text.split(attribute).skip(1);
            values.filter_map(|rest| rest.split('"').next())
        });
        for link in links
            .chain(images)
            .filter(|link| !link.contains("://") && !link.starts_with('#'))
        {
            let file = link.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "{document}: {link}");
        }
    }
}
