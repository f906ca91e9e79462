fn main() {
    let root = quitter::Quitter::root("main");
    let _ = root.add_routine(async |q: &quitter::RoutineQuitter| q.quitting().await);
}
