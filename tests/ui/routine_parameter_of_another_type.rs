#[quitter::routine]
fn heartbeat(q: &String) {
    println!("{q}");
}

fn main() {}
