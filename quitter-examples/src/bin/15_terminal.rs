//! A program that draws on the terminal, from a routine.
//!
//! Shows `hold_output` and `before_report`: no line lands in the picture, and the terminal is as it
//! was before, however the program ends.
//!
//! Start it with `cargo run -p quitter-examples --bin terminal`, press keys and resize the window. End
//! it with q, with Ctrl-C, which is a key like any other in raw mode, or from another terminal with
//! `pkill -x terminal`: the event and the outcome appear below the prompt, and the exit code is 0. With
//! the argument `stuck`, the drawing hangs at the first key. The program then ends 2 s after q, restores
//! the terminal all the same, and the exit code is 1.

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};
use std::{env, thread};

use crossbeam_channel::{Receiver, Sender, select_biased, tick, unbounded};
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use quitter::{MainQuitter, Quitter, RoutineQuitter};

#[quitter::main(timeout = "2s", hold_output = "until_report", before_report = restore)]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)?;
    let (sender, events) = unbounded();
    let quitter = main.clone();
    // Nothing can wake a thread from crossterm's `read`, so this one is not a routine.
    thread::spawn(move || read_events(&quitter, &sender));
    main.routine("drawing").add(move |q| draw(q, &events))?;
    Ok(())
}

/// Leaves raw mode first: that needs no lock, and works even if the terminal takes no output.
fn restore() {
    let _ = terminal::disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

/// Requests the quit from this thread, so that q works even if the drawing hangs.
fn read_events(quitter: &Quitter, events: &Sender<Event>) {
    while let Ok(event) = event::read() {
        let key = event.as_key_press_event();
        match key.map(|key| (key.code, key.modifiers)) {
            Some((KeyCode::Char('q'), KeyModifiers::NONE)) => quitter.request_quit("the key q"),
            Some((KeyCode::Char('c'), KeyModifiers::CONTROL)) => quitter.request_quit("Ctrl-C"),
            _ => {}
        }
        let _ = events.send(event);
    }
    quitter.request_quit("the terminal is gone");
}

fn draw(q: &RoutineQuitter, events: &Receiver<Event>) -> io::Result<()> {
    let hangs = env::args().any(|argument| argument == "stuck");
    let (start, frames) = (Instant::now(), tick(Duration::from_millis(100)));
    let mut last_event = "none".to_owned();
    loop {
        let (columns, rows) = terminal::size()?;
        let seconds = start.elapsed().as_secs_f32();
        let text = format!("{seconds:.1} s, {columns} x {rows}, last event: {last_event}");
        let text: String = text.chars().take(columns.into()).collect();
        queue!(
            io::stdout(),
            Clear(ClearType::All),
            MoveTo(0, rows / 2),
            Print(text)
        )?;
        io::stdout().flush()?;
        // Takes the first that is ready, in this order, so keys pressed before q come before the quit.
        select_biased! {
            recv(events) -> event => match event {
                Ok(_) if hangs => thread::sleep(Duration::MAX),
                Ok(event) => last_event = format!("{event:?}"),
                Err(_) => return Ok(()), // The terminal is gone, and the program is told to quit.
            },
            recv(q.quit_chan()) -> _ => return Ok(()),
            recv(frames) -> _ => {}
        }
    }
}
