use std::rc::Rc;

use quitter::RoutineQuitter;

#[quitter::routine]
async fn heartbeat(q: RoutineQuitter) {
    let beats = Rc::new(0);
    q.quitting().await;
    drop(beats);
}

fn main() {}
