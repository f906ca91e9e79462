use super::*;

fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn generic<T>(_: &RoutineQuitter) {}

/// Adds `f` as a routine and returns the name that it gets.
fn name_of<F>(f: F) -> String
where
    F: FnOnce(&RoutineQuitter) + Send + 'static,
{
    let root = Quitter::root("root");
    let handle = root.add_routine(f).unwrap();
    root.quit_and_wait(PATIENCE).unwrap();
    handle.name().to_owned()
}

#[test]
fn a_function_gives_its_own_name() {
    assert_eq!(name_of(heartbeat), "heartbeat");
}

#[test]
fn a_generic_function_gives_its_name_without_arguments() {
    assert_eq!(name_of(generic::<Vec<String>>), "generic");
    assert_eq!(
        name_of(generic::<fn(u8) -> std::collections::HashMap<u8, u8>>),
        "generic"
    );
    assert_eq!(name_of(generic::<[&'static str; 3]>), "generic");
}

#[test]
fn a_closure_gives_the_function_that_it_stands_in() {
    assert_eq!(
        name_of(|_| {}),
        "closure in a_closure_gives_the_function_that_it_stands_in"
    );
}

#[test]
fn a_closure_in_a_method_gives_the_method() {
    struct Server;
    impl Server {
        fn start(&self) -> String {
            name_of(|_| {})
        }
    }
    assert_eq!(Server.start(), "closure in start");
}

#[test]
fn a_closure_in_a_method_of_a_type_that_holds_a_closure_gives_the_method() {
    struct Server<F>(F);
    impl<F: FnOnce() + Send + 'static> Server<F> {
        fn start(self) -> String {
            name_of(move |_| (self.0)())
        }
    }
    assert_eq!(Server(|| {}).start(), "closure in start");
}

#[test]
fn the_thread_is_named_after_the_routine() {
    let root = Quitter::root("root");
    let (send, name) = mpsc::channel();
    root.routine("worker 7")
        .add(move |_| {
            send.send(thread::current().name().map(str::to_owned))
                .unwrap()
        })
        .unwrap();
    assert_eq!(
        name.recv_timeout(PATIENCE).unwrap().as_deref(),
        Some("worker 7")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_operating_system_knows_the_name() {
    let root = Quitter::root("root");
    let (send, name) = mpsc::channel();
    root.routine("worker 7")
        .add(move |_| {
            send.send(std::fs::read_to_string("/proc/thread-self/comm"))
                .unwrap()
        })
        .unwrap();
    assert_eq!(name.recv_timeout(PATIENCE).unwrap().unwrap(), "worker 7\n");
}

/// Adds a routine named `name`, and asserts that it runs and is listed under that name.
#[track_caller]
fn is_kept(name: &str) {
    let root = Quitter::root("root");
    let end = Event::new();
    let (ends, wanted) = (end.clone(), name.to_owned());
    let handle = root
        .routine(name.to_owned())
        .add(move |q: &RoutineQuitter| {
            assert_eq!(q.name(), wanted);
            ends.wait();
        })
        .unwrap();
    assert_eq!(handle.name(), name);
    assert_eq!(names(&root.wait_done(Duration::ZERO).unwrap_err()), [name]);
    end.set();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

#[test]
fn a_name_with_a_nul_is_kept() {
    is_kept("zero\0byte");
    is_kept("\0");
}

#[test]
fn a_very_long_name_is_kept() {
    is_kept(&"long ".repeat(20_000));
}

#[test]
fn an_empty_name_is_kept() {
    is_kept("");
}

#[test]
fn a_name_beyond_ascii_is_kept() {
    is_kept("Überwachung 監視 🛑");
}

#[test]
fn a_quitters_name_may_be_anything_too() {
    let root = Quitter::root("");
    let child = root.child("a/b\0").unwrap();
    assert_eq!((root.name(), child.name()), ("", "a/b\0"));
    assert_eq!(child.path(), "/a/b\0");
    assert_eq!(child.child("main").unwrap().path(), "/a/b\0/main");
}
