#[quitter::main]
fn start(_: &quitter::MainQuitter) {}

fn main() {
    let _start: fn(&quitter::MainQuitter) = start;
}
