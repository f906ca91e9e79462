//! Builds `stuck` in every way that the page compares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A way to build a program.
pub(crate) struct Build {
    pub(crate) name: &'static str,
    /// The note for readers of the page.
    pub(crate) about: &'static str,
    cargo: &'static [&'static str],
    rustc: &'static [&'static str],
}

pub(crate) const BUILDS: [Build; 4] = [
    Build {
        name: "debug",
        about: "`cargo build`.",
        cargo: &[],
        // The workspace's profile has less debug information than the default.
        rustc: &["-C", "debuginfo=full"],
    },
    Build {
        name: "release with debug information",
        about: "`cargo build --release` with `debug = \"limited\"` for the program.",
        cargo: &["--release"],
        // Without debug information in the profile, cargo strips it.
        rustc: &["-C", "debuginfo=limited", "-C", "strip=none"],
    },
    Build {
        name: "release",
        about: "`cargo build --release`. Where a routine has no name, the compiler has inlined it into its caller.",
        cargo: &["--release"],
        rustc: &[],
    },
    Build {
        name: "release, stripped",
        about: "`cargo build --release` with `strip = true`. There are no names: the report has offsets for \
                `addr2line`, and gdb has addresses.",
        cargo: &["--release"],
        rustc: &["-C", "strip=symbols"],
    },
];

/// `stuck` in one build.
pub(crate) struct Programs {
    pub(crate) without_stacks: PathBuf,
    pub(crate) with_stacks: PathBuf,
}

/// Builds all programs, in a target folder of their own, since the features change from build to build.
pub(crate) fn build() -> Vec<Programs> {
    let target = crate::root().join("target/diagnosis");
    let of = |(number, build): (usize, &Build)| Programs {
        without_stacks: program(&target, build, number, false),
        with_stacks: program(&target, build, number, true),
    };
    BUILDS.iter().enumerate().map(of).collect()
}

fn program(target: &Path, build: &Build, number: usize, has_stacks: bool) -> PathBuf {
    let features: &[&str] = if has_stacks {
        &[]
    } else {
        &["--no-default-features"]
    };
    eprintln!(
        "{}, {} stacks: building",
        build.name,
        if has_stacks { "with" } else { "without" }
    );
    let target = target.join(if has_stacks { "with" } else { "without" });
    let built = Command::new("cargo")
        .args([
            "rustc",
            "--quiet",
            "--package",
            "quitter-examples",
            "--bin",
            "stuck",
        ])
        .args(build.cargo)
        .args(features)
        .arg("--target-dir")
        .arg(&target)
        .arg("--")
        .args(build.rustc)
        // The places in a report are relative to this folder.
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .status()
        .expect("cargo");
    assert!(built.success(), "cargo rustc");
    let profile = if build.cargo.is_empty() {
        "debug"
    } else {
        "release"
    };
    // The next build overwrites the file, and the copy needs the same name, since gdb and the stacks show it.
    let kept = target.join(number.to_string());
    fs::create_dir_all(&kept).expect("a folder");
    let kept = kept.join("stuck");
    let _ = fs::remove_file(&kept);
    fs::copy(target.join(profile).join("stuck"), &kept).expect("a built program");
    kept
}
