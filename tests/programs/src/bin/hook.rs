//! A thread that is not a routine hangs in the panic hook. Then the first routine starts, and panics.

use std::panic;
use std::sync::mpsc;
use std::thread;

use quitter::{ExitReport, MainQuitter, QuitSource};

const HANGS: &str = "hangs";

fn main() -> ExitReport {
    let (entered, is_in_hook) = mpsc::channel();
    panic::set_hook(Box::new(move |_| {
        if thread::current().name() == Some(HANGS) {
            let _ = entered.send(());
            loop {
                thread::park();
            }
        }
    }));
    let all_done = QuitSource::all_done();
    let main = MainQuitter::builder().source(all_done).build();
    let hanging = thread::Builder::new().name(HANGS.to_owned());
    hanging.spawn(|| panic!("hangs")).expect("a thread");
    is_in_hook.recv().expect("the hook is called");
    let panics = main.routine("panics");
    panics
        .add(|_| panic!("on the record"))
        .expect("not quitting");
    main.exit()
}
