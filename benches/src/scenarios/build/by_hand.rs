use std::sync::Mutex;
use std::thread;

fn main() {
    let (open, told) = crossbeam_channel::bounded::<()>(0);
    let open = Mutex::new(Some(open));
    ctrlc::set_handler(move || drop(open.lock().unwrap().take())).unwrap();
    let worker = thread::spawn(move || _ = told.recv());
    worker.join().unwrap();
}
