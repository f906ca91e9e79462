#[quitter::routine]
fn heartbeat(q: &quitter::Quitter) {
    q.wait_quit();
}

fn main() {}
