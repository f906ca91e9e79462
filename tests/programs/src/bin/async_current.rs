//! Like `async_main`, on a single-threaded runtime.

use std::error::Error;

use quitter::MainQuitter;

#[path = "async_main.rs"]
mod shared;

#[quitter::main(timeout = "1s", flavor = "current_thread", dump_on = "SIGUSR1")]
async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    shared::body(main).await
}
