//! A subscriber that keeps all events and spans, each with the spans around it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event or a span.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    /// The message of an event, or the name of a span.
    pub(crate) text: String,
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// The spans around this entry, innermost first: "routine flusher", or the name of the span.
    pub(crate) within: Vec<String>,
}

impl Entry {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value)
    }
}

/// The form is "INFO exit exit_code=0 … [routine flusher, setup]".
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level, self.text)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        write!(f, " [{}]", self.within.join(", "))
    }
}

type Told = dyn Fn(&Entry) + Send + Sync;

/// Clones share their entries.
#[derive(Clone)]
pub(crate) struct Capture {
    spans: Arc<Mutex<BTreeMap<u64, Vec<String>>>>,
    events: Arc<Mutex<Vec<Entry>>>,
    on_event: Arc<Told>,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Capture {
    pub(crate) fn new() -> Self {
        Self::telling(|_| {})
    }

    /// Makes a subscriber that also calls a function with each event of quitter and of the test.
    pub(crate) fn telling(on_event: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        Self {
            spans: Arc::default(),
            events: Arc::default(),
            on_event: Arc::new(on_event),
        }
    }

    pub(crate) fn events(&self) -> Vec<Entry> {
        self.events.lock().unwrap().clone()
    }

    /// The events with this text.
    pub(crate) fn all(&self, text: &str) -> Vec<Entry> {
        let events = self.events().into_iter();
        events.filter(|event| event.text == text).collect()
    }

    /// The event with this text, which must be the only one.
    #[track_caller]
    pub(crate) fn only(&self, text: &str) -> Entry {
        let mut all = self.all(text);
        assert_eq!(all.len(), 1, "{text}: {:?}", self.events());
        all.remove(0)
    }

    /// The spans from the one with this number outwards.
    fn within(&self, span: Option<u64>) -> Vec<String> {
        let spans = self.spans.lock().unwrap();
        span.and_then(|span| spans.get(&span).cloned())
            .unwrap_or_default()
    }
}

fn innermost() -> Option<u64> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut fields = Fields::default();
        span.record(&mut fields);
        let name = span.metadata().name();
        let shown = match fields.0.get("name") {
            Some(of) => format!("{name} {of} of {} {}", fields.0["path"], fields.0["id"]),
            None => name.to_owned(),
        };
        let parent = match span.is_contextual() {
            true => innermost(),
            false => span.parent().map(Id::into_u64),
        };
        let mut within = vec![shown];
        within.extend(self.within(parent));
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.spans.lock().unwrap().insert(id, within);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let parent = match event.is_contextual() {
            true => innermost(),
            false => event.parent().map(Id::into_u64),
        };
        let entry = Entry {
            level: *event.metadata().level(),
            text: fields.0.remove("message").unwrap_or_default(),
            fields: fields.0,
            within: self.within(parent),
        };
        self.events.lock().unwrap().push(entry.clone());
        (self.on_event)(&entry);
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            assert_eq!(entered.pop(), Some(span.into_u64()));
        });
    }
}
