use std::process::Command;

use quitter::Quitter;

fn main() {
    let root = Quitter::root("main");
    let _ = root.add_process(Command::new("true"));
    let _ = root.routine("child").process(Command::new("true"));
    let _ = root.routine("child").adopt(Command::new("true").spawn().unwrap());
}
