//! Two attributes that make a runtime; the inner one is tokio's, imported.

#![allow(unused_imports)]

use tokio::main;

#[quitter::main]
#[main]
async fn main() {}
