#[quitter::main]
fn main(main: &quitter::RoutineQuitter) {
    main.wait_quit();
}
