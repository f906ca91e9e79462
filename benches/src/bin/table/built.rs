//! Builds the programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The paths of the built programs.
pub(crate) struct Built {
    /// The benchmark, which criterion runs.
    pub(crate) ops: PathBuf,
    folder: PathBuf,
}

impl Built {
    /// Builds the benchmark, the programs, and the examples to be interrupted, into the folder of this program.
    pub(crate) fn new() -> Self {
        let own = std::env::current_exe().expect("a path");
        let folder = own.parent().expect("a folder").to_owned();
        let target = folder.parent().expect("a target folder");
        build(target, "Cargo.toml", &["build", "--release", "--bins"]);
        let example = ["build", "--release", "--package", "quitter-examples"];
        build(
            target,
            "../Cargo.toml",
            &[
                &example[..],
                &["--bin", "heartbeat"],
                &["--bin", "tcp_server_threads"],
            ]
            .concat(),
        );
        let messages = build(
            target,
            "Cargo.toml",
            &["bench", "--no-run", "--bench", "ops"],
        );
        let ops = executable(&messages, "ops").expect("the benchmark");
        Self { ops, folder }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Returns cargo's messages, one per line.
fn build(target: &Path, manifest: &str, arguments: &[&str]) -> Vec<u8> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
    let output = Command::new("cargo")
        .args(arguments)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .args(["--quiet", "--message-format=json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "cargo {}", arguments.join(" "));
    output.stdout
}

fn executable(messages: &[u8], target: &str) -> Option<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
    let built = messages.map(|message| message.expect("cargo's messages"));
    let mut of_target = built.filter(|message| message["target"]["name"] == target);
    of_target.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
