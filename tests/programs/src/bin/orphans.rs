//! A program with the attribute that reaps orphans: as the first process of a container, or otherwise as
//! what Linux calls a subreaper.

#[cfg(target_os = "linux")]
#[quitter::main(timeout = "2s", end = "with_body", reap_orphans)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::process::{self, Command};
    use std::thread;
    use std::time::Duration;

    let is_first = process::id() == 1;
    println!("first process: {is_first}");
    if !is_first {
        nix::sys::prctl::set_child_subreaper(true)?;
    }
    let mut shell = Command::new("sh");
    // The shell ends at once, and leaves a process that ends a moment later.
    shell.args(["-c", "(sleep 0.2; exit 3) >/dev/null & echo $!"]);
    let orphan = String::from_utf8(shell.output()?.stdout)?;
    let orphan = Path::new("/proc").join(orphan.trim());
    println!("left behind: {}", orphan.exists());
    while orphan.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    println!("reaped");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
