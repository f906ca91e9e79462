use quitter::Notice;

fn log(notice: &Notice) {
    println!("{notice}");
}

fn restore() {}

#[quitter::main(
    end = "with_body",
    output = "quiet",
    notices = log,
    hold_output = "until_body_returns",
    before_report = restore,
    failures_while_quitting = "list_only"
)]
fn main() {}
