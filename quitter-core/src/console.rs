//! Where a main quitter speaks: stderr, but not std's.
//!
//! A routine that hangs may hold std's lock of stderr. So what a main quitter says goes through a
//! duplicate of the handle, made when the main quitter is. A stderr that is closed, full or broken
//! changes nothing but that nobody reads it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

/// Duplicates stderr's handle, once. `None`: there is none to duplicate.
fn stderr() -> Option<&'static File> {
    static STDERR: OnceLock<Option<File>> = OnceLock::new();
    STDERR.get_or_init(|| duplicate().ok()).as_ref()
}

#[cfg(unix)]
fn duplicate() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stderr().as_handle().try_clone_to_owned()?.into())
}

#[cfg(not(any(unix, windows)))]
fn duplicate() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes the duplicate now, while stderr is what the program was started with.
pub(crate) fn open() {
    stderr();
}

/// Writes `text` and a line end in one piece. Nothing is done about a failure: there is nowhere
/// left to say so.
pub(crate) fn say(text: impl fmt::Display) {
    let line = format!("{text}\n");
    let _ = match stderr() {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}
