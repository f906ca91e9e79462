//! The example `workers` with std and ctrlc: a pool that ends by itself when the jobs are done.

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(2);
const USAGE: &str = "usage: workers [number of workers] [number of jobs]";

struct Pool {
    queue: Mutex<VecDeque<u32>>,
    is_quitting: AtomicBool,
}

enum Event {
    Quit,
    Failed,
    Returned,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u32>());
    let workers = numbers.next().unwrap_or(Ok(4)).map_err(|_| USAGE)?;
    let jobs = numbers.next().unwrap_or(Ok(20)).map_err(|_| USAGE)?;

    let (sender, events) = mpsc::channel();
    let quit = sender.clone();
    ctrlc::set_handler(move || drop(quit.send(Event::Quit)))?;
    let pool = Arc::new(Pool {
        queue: Mutex::new((1..=jobs).collect()),
        is_quitting: AtomicBool::new(false),
    });
    for number in 1..=workers {
        let (pool, returns) = (Arc::clone(&pool), Returns(sender.clone()));
        let name = format!("worker {number}");
        thread::Builder::new().name(name.clone()).spawn(move || {
            if let Err(error) = pool.work(&name) {
                eprintln!("{name} failed: {error}");
                let _ = returns.0.send(Event::Failed);
            }
        })?;
    }

    let (mut live, mut code, mut deadline) = (workers, ExitCode::SUCCESS, None);
    while live > 0 {
        let event = match deadline {
            None => events.recv()?,
            Some(at) => match events.recv_timeout(at - Instant::now().min(at)) {
                Ok(event) => event,
                Err(_) => {
                    eprintln!("{live} workers did not return in time");
                    return Ok(ExitCode::FAILURE);
                }
            },
        };
        match event {
            Event::Returned => live -= 1,
            Event::Failed => code = ExitCode::FAILURE,
            Event::Quit => {}
        }
        if !matches!(event, Event::Returned) {
            pool.is_quitting.store(true, Ordering::SeqCst);
            deadline.get_or_insert(Instant::now() + TIMEOUT);
        }
    }
    match pool.queue.lock().unwrap().len() {
        0 => println!("all jobs are done"),
        1 => println!("1 job was left"),
        left => println!("{left} jobs were left"),
    }
    Ok(code)
}

/// Reports that a worker has returned, even if it panics.
struct Returns(Sender<Event>);

impl Drop for Returns {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Event::Failed);
        }
        let _ = self.0.send(Event::Returned);
    }
}

impl Pool {
    /// Does jobs until there are no more, or until told to quit.
    fn work(&self, name: &str) -> io::Result<()> {
        while !self.is_quitting.load(Ordering::SeqCst) {
            let Some(job) = self.queue.lock().unwrap().pop_front() else {
                break;
            };
            thread::sleep(Duration::from_millis(200));
            writeln!(io::stdout(), "{name} has done job {job}")?;
        }
        Ok(())
    }
}
