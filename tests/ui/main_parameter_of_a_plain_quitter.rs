use quitter::Quitter;

#[quitter::main]
fn main(main: &Quitter) {
    main.wait_quit();
}
