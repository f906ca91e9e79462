//! A job that ends by itself, in every way in which the body of `main` can end.
//!
//! Start it with one of the arguments below. There is no key to press:
//!
//! ```sh
//! cargo run -p quitter-examples --bin batch -- done
//! ```
//!
//! | argument | what happens | what stderr then says | exit code |
//! | --- | --- | --- | --- |
//! | `done` | three routines do the work | `Received quit from 'all routines done'` | 0 |
//! | `error` | the body returns an error | `Error: bad price in line 2: invalid digit found in string` | 1 |
//! | `code` | the body returns `ExitCode::from(3)` | nothing: explaining the code is up to the body | 3 |
//! | `panic` | the body panics | `routine 'main' of main panicked at`, the place and the message | 1 |

use std::env;
use std::error::Error;
use std::fmt;
use std::num::ParseIntError;
use std::process::ExitCode;

use quitter::{MainQuitter, QuitSource};

/// The exit code of a job that had nothing to do.
const NOTHING_TO_DO: u8 = 3;

#[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
    let prices = match env::args().nth(1).as_deref() {
        Some("done") => prices("100\n200\n300")?,
        Some("error") => prices("100\ntwo hundred\n300")?,
        Some("code") => prices("")?,
        Some("panic") => panic!("the price list is gone"),
        _ => {
            eprintln!("usage: batch done|error|code|panic");
            return Ok(ExitCode::from(2));
        }
    };
    if prices.is_empty() {
        return Ok(ExitCode::from(NOTHING_TO_DO));
    }
    for price in prices {
        let name = format!("price {price}");
        main.routine(name).add(move |q| {
            println!("{}: {} with tax", q.name(), price * 119 / 100);
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prices(list: &str) -> Result<Vec<u32>, BadPrice> {
    let price = |(i, text): (usize, &str)| {
        let in_line = |source| BadPrice {
            line: i + 1,
            source,
        };
        text.parse().map_err(in_line)
    };
    list.lines().enumerate().map(price).collect()
}

#[derive(Debug)]
struct BadPrice {
    line: usize,
    source: ParseIntError,
}

impl fmt::Display for BadPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad price in line {}", self.line)
    }
}

impl Error for BadPrice {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
