#[quitter::main]
fn start() {}

fn main() {
    start();
}
