use quitter::MainQuitter;

#[quitter::main(timeout = "2s" start = "before_body")]
fn main(main: &MainQuitter) {
    main.send_quit();
}
