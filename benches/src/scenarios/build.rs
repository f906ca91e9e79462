//! A clean release build of an empty program that depends on a library.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::workload::Figures;

/// The crates that a program depends on, and the smallest program that ends cleanly on Ctrl-C with them.
pub struct Build {
    dependencies: &'static str,
    program: Option<&'static str>,
}

/// quitter, with the default features.
pub const QUITTER: Build = Build {
    dependencies: "quitter = { path = \"HERE/..\" }",
    program: Some(include_str!("build/quitter.rs")),
};

/// The crates that do the same by hand.
pub const BY_HAND: Build = Build {
    dependencies: "ctrlc = \"3\"\ncrossbeam-channel = \"0.5\"",
    program: Some(include_str!("build/by_hand.rs")),
};

/// The crates of [`BY_HAND`], and those that two attributes and a list of functions need.
pub const PARTS: Build = Build {
    dependencies: r#"
ctrlc = "3"
crossbeam-channel = "0.5"
linkme = "0.3"
quote = "1"
syn = { version = "3", default-features = false, features = ["clone-impls", "full", "parsing", "printing", "proc-macro"] }
"#,
    program: None,
};

/// The name of [`PARTS`].
pub const PARTS_NAME: &str = "ctrlc + crossbeam-channel + syn + quote + linkme";

/// The crates that a program with the token and tracker of tokio-util needs.
pub const TOKIO_UTIL: Build = Build {
    dependencies: r#"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "signal"] }
tokio-util = { version = "0.7", features = ["rt"] }
"#,
    program: Some(include_str!("build/tokio_util.rs")),
};

/// The crates that a program with tokio-graceful-shutdown needs.
pub const SUBSYSTEMS: Build = Build {
    dependencies: r#"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
tokio-graceful-shutdown = "0.20"
"#,
    program: Some(include_str!("build/subsystems.rs")),
};

/// Measures how long the build of an empty program takes, counts the crates besides the program, and measures
/// the stripped binary of the program that uses them.
pub fn clean(build: &Build) -> Figures {
    let here = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir().expect("a folder");
    let dependencies = build.dependencies.replace("HERE", here);
    write_crate(folder.path(), &dependencies);
    // Uses the same versions as the whole suite, so that cargo has nothing to resolve.
    let lock = Path::new(here).join("Cargo.lock");
    fs::copy(lock, folder.path().join("Cargo.lock")).expect("a lock file");
    // Fetches crates that the suite itself does not need, since the time of the network does not count.
    cargo(folder.path(), &["fetch"]);

    const BUILD: [&str; 4] = ["build", "--release", "--offline", "--message-format=json"];
    let from = Instant::now();
    let messages = cargo(folder.path(), &BUILD);
    let elapsed = from.elapsed();
    let mut figures = vec![
        ("time", elapsed.as_nanos() as f64),
        ("crates", (crates(&messages) - 1) as f64),
    ];
    if let Some(program) = build.program {
        write_main(folder.path(), program);
        cargo(folder.path(), &BUILD);
        let binary = folder.path().join("target/release/empty");
        let size = fs::metadata(binary).expect("a binary").len();
        figures.push(("size", size as f64));
    }
    figures
}

/// Returns what cargo has printed.
fn cargo(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("cargo")
        .current_dir(folder)
        .args(arguments)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "cargo {arguments:?}");
    output.stdout
}

fn write_crate(folder: &Path, dependencies: &str) {
    let manifest = format!(
        "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\n[profile.release]\nstrip = true\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("a new file");
    fs::create_dir(folder.join("src")).expect("a new folder");
    write_main(folder, "fn main() {}\n");
}

fn write_main(folder: &Path, text: &str) {
    fs::write(folder.join("src/main.rs"), text).expect("a file");
}

/// Counts the packages that cargo reports as built.
fn crates(messages: &[u8]) -> usize {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
    let built = messages.map(|message| message.expect("cargo's messages"));
    let packages = built.filter_map(|message| Some(message["package_id"].as_str()?.to_owned()));
    packages.collect::<HashSet<_>>().len()
}
