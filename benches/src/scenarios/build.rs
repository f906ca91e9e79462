//! A clean release build of an empty program that depends on a library.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::workload::Figures;

/// Ours, with the default features.
pub const QUITTER: &str = "quitter = { path = \"HERE/..\" }";

/// The crates that do the same by hand.
pub const BY_HAND: &str = "ctrlc = \"3\"\ncrossbeam-channel = \"0.5\"";

/// The crates behind quitter itself: the same, and those for two attributes and a list of functions.
pub const PARTS: &str = r#"
ctrlc = "3"
crossbeam-channel = "0.5"
linkme = "0.3"
quote = "1"
syn = { version = "3", default-features = false, features = ["clone-impls", "full", "parsing", "printing", "proc-macro"] }
"#;

/// The name of [`PARTS`].
pub const PARTS_NAME: &str = "ctrlc + crossbeam-channel + syn + quote + linkme";

/// The crates that a program with the token and tracker of tokio-util needs.
pub const TOKIO_UTIL: &str = r#"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "signal"] }
tokio-util = { version = "0.7", features = ["rt"] }
"#;

/// The crates that a program with tokio-graceful-shutdown needs.
pub const SUBSYSTEMS: &str = r#"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
tokio-graceful-shutdown = "0.20"
"#;

/// Measures how long the build takes, and counts the crates besides the program.
pub fn clean(dependencies: &str) -> Figures {
    let here = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(folder.path(), &dependencies.replace("HERE", here));
    // The same versions as everywhere in this suite, and nothing to resolve.
    let lock = Path::new(here).join("Cargo.lock");
    fs::copy(lock, folder.path().join("Cargo.lock")).expect("a lock file");
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(folder.path());
        cargo
    };
    // The suite itself does not need every crate, and the network's time does not count.
    let fetched = cargo().arg("fetch").status().expect("cargo");
    assert!(fetched.success(), "cargo fetch of {dependencies}");

    let from = Instant::now();
    let output = cargo()
        .args(["build", "--release", "--offline", "--message-format=json"])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo");
    let elapsed = from.elapsed();
    assert!(output.status.success(), "the build of {dependencies}");
    let crates = crates(&output.stdout);
    vec![
        ("time", elapsed.as_nanos() as f64),
        ("crates", (crates - 1) as f64),
    ]
}

fn write_crate(folder: &Path, dependencies: &str) {
    let manifest = format!(
        "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n\n[workspace]\n"
    );
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a new file");
    write("Cargo.toml", &manifest);
    fs::create_dir(folder.join("src")).expect("a new folder");
    write("src/main.rs", "fn main() {}\n");
}

/// Counts the packages that cargo reports as built.
fn crates(messages: &[u8]) -> usize {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
    let built = messages.map(|message| message.expect("cargo's messages"));
    let packages = built.filter_map(|message| Some(message["package_id"].as_str()?.to_owned()));
    packages.collect::<HashSet<_>>().len()
}
