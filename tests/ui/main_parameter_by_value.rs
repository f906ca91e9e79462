use quitter::MainQuitter;

#[quitter::main]
fn main(main: MainQuitter) {
    main.send_quit();
}
