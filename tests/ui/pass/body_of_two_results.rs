//! The body may return what std allows.

#![deny(warnings)]

use std::num::ParseIntError;
use std::process::ExitCode;

#[quitter::main(sources = [quitter::QuitSource::all_done()])]
fn main() -> Result<ExitCode, ParseIntError> {
    let code: u8 = "0".parse()?;
    Ok(ExitCode::from(code))
}
