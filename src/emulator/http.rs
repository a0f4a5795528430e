//! The HTTP server: connections, bodies, deadlines.
//!
//! Owns what keeps one client from disturbing another: a size and a deadline for every request. Does not know what is
//! asked; whole messages go to the front, which says at once what becomes of them.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Emulator;
use super::fault::Fault;
use super::front::{Outcome, Reply};

/// The largest body: sixty sources a family fit into a hundredth of it.
const BODY_LIMIT: usize = 1 << 20;

/// How long a client may take to send a body. SDKs send one in a single packet.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may be without a whole set of headers, which counts between requests too. Whoever is cut off
/// after that just opens another.
const HEADER_DEADLINE: Duration = Duration::from_mins(1);

/// How long requests in flight may take to end after the shutdown: those that are whole are answered by then.
const SHUTDOWN_DEADLINE: Duration = Duration::from_millis(500);

/// How long no connection is accepted after one could not be, since the usual cause is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections in a row may fail to be accepted before the listener is given up.
const ACCEPT_ATTEMPTS: u32 = 100;

/// Serves until the shutdown, in one task: the emulator answers in microseconds, so there is nothing to gain from more.
pub(super) async fn serve(
    emulator: Emulator,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE);
    let mut connections = FuturesUnordered::new();
    let mut shutdown = pin!(shutdown);
    let mut failures = 0;
    let mut not_before = Instant::now();
    loop {
        let accept = async {
            sleep_until(not_before).await;
            listener.accept().await
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.next() => {}
            accepted = accept => match accepted {
                Ok((stream, _)) => {
                    failures = 0;
                    if emulator.refuses() {
                        // Dropped without a word, and without the polite end of a connection.
                        let _ = stream.set_zero_linger();
                        continue;
                    }
                    // Only a matter of speed.
                    let _ = stream.set_nodelay(true);
                    let emulator = emulator.clone();
                    let service = service_fn(move |request| handle(emulator.clone(), request));
                    connections.push(server.serve_connection(TokioIo::new(stream), service));
                }
                Err(error) => {
                    failures += 1;
                    if failures >= ACCEPT_ATTEMPTS {
                        return Err(error);
                    }
                    not_before = Instant::now() + ACCEPT_PAUSE;
                }
            },
        }
    }
    drop(listener);
    for connection in Pin::new(&mut connections).iter_pin_mut() {
        connection.graceful_shutdown();
    }
    // Whoever is not done by then is cut off: nobody waits for the answer, or somebody does not read it.
    let _ = timeout(SHUTDOWN_DEADLINE, async {
        while connections.next().await.is_some() {}
    })
    .await;
    Ok(())
}

async fn handle(
    emulator: Emulator,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(fault) => return Ok(respond(emulator.unreadable(&fault), true)),
    };
    match emulator.answer(&parts, &body) {
        Outcome::Reply(reply, delay) => {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            Ok(respond(reply, false))
        }
        // To fail here is to drop the connection.
        Outcome::Gone => Err(io::ErrorKind::ConnectionReset.into()),
        // Until the client gives up, or the server ends and cuts it off.
        Outcome::Silence => std::future::pending().await,
    }
}

async fn read(body: Incoming) -> Result<Bytes, Fault> {
    let too_large = || {
        let message = "The request is larger than 1 MiB.";
        Fault::front("RequestEntityTooLargeException", 413, message)
    };
    // What says so in its headers is refused before it is read; the rest when it gets there.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    match timeout(BODY_DEADLINE, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Fault::serialization(
            "the body of the request cannot be read",
        )),
        Err(_) => Err(Fault::front(
            "RequestTimeoutException",
            408,
            "The body of the request did not arrive in time.",
        )),
    }
}

fn respond(reply: Reply, last: bool) -> Response<Full<Bytes>> {
    let Reply {
        status,
        content_type,
        request_id,
        error_type,
        body,
    } = reply;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(Ok(name)) = error_type.map(|name| HeaderValue::from_str(&name)) {
        headers.insert("x-amzn-errortype", name);
    }
    if last {
        // What is left of the body is not worth reading.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
