//! A monitor of long-running commands, such as `ping`: the terminal shows the latest line of each.
//!
//! Shows child processes whose output threads read line by line, and keys that are read in raw mode. It
//! ends at once on q, Ctrl-C, Ctrl-D, SIGTERM, the end of its input, and when every command has ended. Then
//! no command is left, and the terminal is as it was before. A command that fails makes the exit code 1.
//!
//! Start it with `cargo run -p quitter-examples --bin ping_monitor`, or name commands:
//! `ping_monitor --cmd "ping localhost" --cmd "sleep 25"`. Press q: the exit code is 0. If stdout is not a
//! terminal, each line is printed with its command, and q needs Enter. It runs on Unix.

#![cfg_attr(
    test,
    allow(dead_code, reason = "the test harness has a main of its own")
)]

#[cfg(unix)]
mod monitor {
    use std::env;
    use std::error::Error;
    use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Read, Write};
    use std::process::{Command, ExitCode, Stdio};
    use std::time::Duration;

    use crossbeam_channel::{Receiver, Sender, bounded, select};
    use crossterm::cursor::MoveToPreviousLine;
    use crossterm::queue;
    use crossterm::style::Print;
    use crossterm::terminal::{self, Clear, ClearType};
    use quitter::{MainQuitter, OnFailure, RoutineQuitter};

    /// Stands in for `ping`, without a network.
    const PRETENDED: &str = "while date; do sleep 1; done";

    /// A line of a command's output, and which command wrote it.
    type Line = (usize, String);

    #[quitter::main(timeout = "2s", hold_output = "until_report", before_report = restore)]
    pub fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
        let Some(commands) = commands() else {
            eprintln!("usage: ping_monitor [--cmd COMMAND]...");
            return Ok(ExitCode::from(2));
        };
        // Raw mode affects output, too: if another program wrote ours to the terminal, it would be a staircase.
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            terminal::enable_raw_mode()?; // Keys arrive when they are pressed, without Enter.
        }
        main.routine("keys").add(read_keys)?;
        let (to_picture, lines) = bounded(64);
        for (number, command) in commands.iter().enumerate() {
            let (output, writer) = io::pipe()?; // For both streams: errors are lines like any other.
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).stdin(Stdio::null());
            shell.stdout(writer.try_clone()?).stderr(writer);
            let process = main.routine(command.clone());
            let process = process.on_failure(OnFailure::FailAtExit).process(shell)?;
            let to_picture = to_picture.clone();
            let reader = main.routine(format!("lines of {command}"));
            reader.add(move |q| {
                let read = read_lines(q, number, output, &to_picture);
                let _ = process.wait(Duration::MAX); // The output may close before the command ends.
                read
            })?;
        }
        main.routine("picture")
            .add(move |q| draw(q, &commands, &lines))?;
        Ok(ExitCode::SUCCESS)
    }

    fn commands() -> Option<Vec<String>> {
        let arguments: Vec<_> = env::args().skip(1).collect();
        let commands = arguments.chunks(2).map(|pair| match pair {
            [option, command] if option == "--cmd" => Some(command.clone()),
            _ => None,
        });
        let mut commands = commands.collect::<Option<Vec<_>>>()?;
        if commands.is_empty() {
            commands.push(PRETENDED.to_owned());
        }
        Some(commands)
    }

    /// Needs no lock, and works even if the terminal takes no output.
    fn restore() {
        let _ = terminal::disable_raw_mode();
    }

    fn read_keys(q: &RoutineQuitter) -> io::Result<()> {
        for key in BufReader::new(q.interruptible(io::stdin())).bytes() {
            match key? {
                b'q' => q.request_quit("the key q"),
                // In raw mode, these two are keys like any other.
                b'\x03' => q.request_quit("Ctrl-C"),
                b'\x04' => q.request_quit("Ctrl-D"),
                _ => {}
            }
        }
        q.request_quit("the end of the input");
        Ok(())
    }

    fn read_lines(
        q: &RoutineQuitter,
        number: usize,
        output: PipeReader,
        to_picture: &Sender<Line>,
    ) -> io::Result<()> {
        let mut output = BufReader::new(q.interruptible(output));
        let mut line = Vec::new();
        // A command may write anything, but must not move the cursor or fill the memory.
        while (&mut output).take(1024).read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.chars().filter(|letter| !letter.is_control()).collect();
            select! {
                send(to_picture, (number, text)) -> _ => {}
                recv(q.quit_chan()) -> _ => return Ok(()),
            }
            line.clear();
        }
        Ok(())
    }

    fn draw(q: &RoutineQuitter, commands: &[String], lines: &Receiver<Line>) -> io::Result<()> {
        let mut stdout = q.interruptible(io::stdout());
        let is_terminal = io::stdout().is_terminal();
        let mut latest = vec![String::new(); commands.len()];
        let mut frame = Vec::new();
        loop {
            select! {
                recv(q.quit_chan()) -> _ => return Ok(()),
                recv(lines) -> line => match line {
                    Ok((number, text)) if is_terminal => latest[number] = text,
                    Ok((number, text)) => writeln!(stdout, "{}: {text}", commands[number])?,
                    Err(_) => break, // The readers have returned.
                },
            }
            if is_terminal {
                for (number, text) in lines.try_iter() {
                    latest[number] = text; // Lines that came meanwhile share a frame.
                }
                let rows = commands.iter().zip(&latest);
                draw_rows(
                    &mut frame,
                    rows.map(|(command, text)| format!("{command:.30}: {text}")),
                )?;
                stdout.write_all(&frame)?;
            }
        }
        q.request_quit("every command has ended");
        Ok(())
    }

    /// Builds the next frame: the first goes below the cursor, each later one over the frame before.
    fn draw_rows(
        frame: &mut Vec<u8>,
        rows: impl ExactSizeIterator<Item = String>,
    ) -> io::Result<()> {
        let (columns, _) = terminal::size()?;
        let is_first = frame.is_empty();
        frame.clear();
        if !is_first {
            queue!(
                frame,
                MoveToPreviousLine(rows.len().try_into().unwrap_or(u16::MAX))
            )?;
        }
        for row in rows {
            let row: String = row.chars().take(columns.into()).collect();
            queue!(
                frame,
                Clear(ClearType::CurrentLine),
                Print(row),
                Print("\r\n")
            )?;
        }
        Ok(())
    }
}

#[cfg(unix)]
use monitor::main;

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}
