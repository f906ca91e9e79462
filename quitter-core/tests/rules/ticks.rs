use super::*;

const PERIOD: Duration = Duration::from_millis(20);

#[test]
fn the_first_tick_comes_after_one_period_and_the_beat_is_kept() {
    let root = Quitter::root("root");
    let from = Instant::now();
    let mut ticks = root.ticks(PERIOD);
    let first = ticks.next().unwrap();
    assert!(Instant::now() >= from + PERIOD);
    assert!(first >= from + PERIOD);
    let second = ticks.next().unwrap();
    assert!(Instant::now() >= second);
    let beats = second.duration_since(first).as_nanos() / PERIOD.as_nanos();
    assert_eq!(second, first + PERIOD * u32::try_from(beats).unwrap());
    assert!(beats >= 1);
}

#[test]
fn of_the_ticks_that_a_busy_loop_missed_at_most_one_comes_late() {
    let root = Quitter::root("root");
    let mut ticks = root.ticks(PERIOD);
    let first = ticks.next().unwrap();
    // The sleep is the thing under test: the loop's body takes more than five periods.
    thread::sleep(5 * PERIOD);
    let busy_until = Instant::now();
    let next: Vec<_> = ticks.by_ref().take(3).collect();
    let late = next.iter().filter(|tick| **tick < busy_until);
    assert!(late.count() <= 1, "{:?}", next);
    for tick in next {
        let off_beat = tick.duration_since(first).as_nanos() % PERIOD.as_nanos();
        assert_eq!(off_beat, 0);
    }
}

#[test]
fn a_period_of_zero_ticks_as_fast_as_the_loop_goes() {
    let root = Quitter::root("root");
    assert_eq!(
        in_time(move || root.ticks(Duration::ZERO).take(1000).count()),
        1000
    );
}

#[test]
fn ticks_end_on_quit_even_when_one_is_due() {
    let root = Quitter::root("root");
    let mut ticks = root.ticks(Duration::from_nanos(1));
    ticks.next().unwrap();
    root.send_quit();
    assert_eq!(ticks.next(), None);
    assert_eq!(ticks.next(), None);
}
