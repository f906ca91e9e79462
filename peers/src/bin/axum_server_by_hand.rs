//! The example `axum_server` with tokio and tokio-util: an HTTP server that ends without a failed request.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_lite::stream::{self, Stream};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(3);

/// How long new connections are taken after the quit: the time that a load balancer needs to see that
/// `/ready` says no.
const SERVE_ON: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("8000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let quit = CancellationToken::new();
    let mut server = tokio::spawn(serve(quit.clone(), listener));
    tokio::select! {
        ended = &mut server => {
            ended??;
            return Ok(ExitCode::SUCCESS);
        }
        signal = tokio::signal::ctrl_c() => signal?,
    }
    quit.cancel();
    match timeout(TIMEOUT, server).await {
        Ok(ended) => ended??,
        Err(_) => {
            eprintln!("some requests were not answered in time");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(quit: CancellationToken, listener: TcpListener) -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/slow", get(slow))
        .route("/events", get(events))
        .route("/hang", get(hang))
        .route("/ready", get(ready))
        .with_state(quit.clone());
    let shutdown = async move {
        quit.cancelled().await;
        sleep(SERVE_ON).await;
    };
    // Returns when every connection is done.
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
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
    State(quit): State<CancellationToken>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(Some(quit), async |quit| {
        let quit = quit?;
        let tick = quit.run_until_cancelled(sleep(Duration::from_millis(100)));
        let (event, then) = match tick.await {
            Some(()) => ("tick", Some(quit)),
            None => ("goodbye", None),
        };
        Some((Ok(Event::default().data(event)), then))
    });
    Sse::new(ticks)
}

async fn ready(State(quit): State<CancellationToken>) -> StatusCode {
    match quit.is_cancelled() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    }
}
