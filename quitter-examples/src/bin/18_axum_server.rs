//! An HTTP server on axum that ends without a failed request.
//!
//! Shows the one-line bridge, `with_graceful_shutdown(q.quitting())`, requests that are routines, streams
//! that learn of the quit, and a readiness page that says 503 while the program quits, so that a load
//! balancer sends no more.
//!
//! It has `#[tokio::main]`, as many existing programs do, so it makes the main quitter with the
//! builder, and awaits the exit at the end: `exit_async`. New programs are shorter with
//! `#[quitter::main]`, as `tcp_server` is.
//!
//! Start it with `cargo run -p quitter-examples --bin axum_server -- 8000`. Ask for `/`, `/slow`,
//! `/events`, `/ready` and `/hang` with curl. Press Ctrl-C: requests in flight are answered, and the
//! program ends with exit code 0. After `/hang` the report names that request, with the line that it awaits,
//! and the exit code is 1.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_lite::stream::{self, Stream};
use quitter::{ExitReport, MainQuitter, OnFailure, Quitter, RoutineQuitter};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long new connections are taken after the quit: the time that a load balancer needs to see that
/// `/ready` says no.
const SERVE_ON: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<ExitReport, Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("8000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let main = MainQuitter::builder()
        .timeout(Duration::from_secs(3))
        .force_exit(true)
        .build();
    println!("listening on http://{}", listener.local_addr()?);
    match main.routine("server").add_task(|q| serve(q, listener)) {
        Err(error) if !error.is_quitting() => Err(error.into()),
        _ => Ok(main.exit_async().await),
    }
}

async fn serve(
    q: RoutineQuitter,
    listener: TcpListener,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let requests = q.child("requests")?;
    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/slow", get(slow))
        .route("/events", get(events))
        .route("/hang", get(hang))
        .layer(middleware::from_fn_with_state(requests.clone(), as_routine))
        .route("/ready", get(ready))
        .with_state(requests);
    let shutdown = async move {
        q.quitting().await;
        sleep(SERVE_ON).await;
    };
    // Returns when every connection is done.
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await?;
    Ok(())
}

/// Lists a request in reports for as long as it is being answered. A request that panics is reported, too,
/// and ends nothing but itself.
async fn as_routine(State(requests): State<Quitter>, request: Request, next: Next) -> Response {
    let name = format!("{} {}", request.method(), request.uri().path());
    let routine = requests.routine(name).on_failure(OnFailure::Report);
    // A request that comes after the quit is answered without being listed.
    let response = routine.track(next.run(request)).await;
    response.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn slow() -> &'static str {
    sleep(Duration::from_millis(500)).await;
    "slow\n"
}

/// Awaits an answer that never comes.
async fn hang() {
    let (_asked, answer) = oneshot::channel::<()>();
    let _ = answer.await;
}

/// A stream that has no end of its own: at the quit it says goodbye.
async fn events(
    State(requests): State<Quitter>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(Some(requests), async |requests| {
        let requests = requests?;
        let tick = requests
            .cancel_on_quit(sleep(Duration::from_millis(100)))
            .await;
        let (event, then) = match tick {
            Ok(()) => ("tick", Some(requests)),
            Err(_quitting) => ("goodbye", None),
        };
        Some((Ok(Event::default().data(event)), then))
    });
    Sse::new(ticks)
}

async fn ready(State(requests): State<Quitter>) -> StatusCode {
    match requests.has_to_quit() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    }
}
