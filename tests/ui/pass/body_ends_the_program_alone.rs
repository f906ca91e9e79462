//! The end of the body is the only quit event, and its error is not named.

#![deny(warnings)]

#[quitter::main(signals = false, end = "with_body")]
fn main() -> Result<(), impl std::fmt::Debug> {
    Ok::<_, std::fmt::Error>(())
}
