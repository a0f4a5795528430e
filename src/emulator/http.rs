//! The HTTP server: connections, bodies, deadlines.
//!
//! Owns the limits that protect clients from each other: a size and a deadline for every request. Does not know the content; `endpoint`
//! handles complete messages.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Emulator;
use super::error_response::{ErrorResponse, Result};
use super::service::{Delivery, Response};

/// The largest body: sixty sources of each family need a hundredth of it.
const BODY_LIMIT: usize = 1 << 20;

/// The time in which a client must send a body. SDKs send it in a single packet.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The time in which a client must send the headers, also between requests. Clients reconnect after that.
const HEADER_DEADLINE: Duration = Duration::from_mins(1);

/// The time that requests in flight have after the shutdown.
const SHUTDOWN_DEADLINE: Duration = Duration::from_millis(500);

/// The pause after a connection could not be accepted, usually because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The number of failures to accept a connection in a row after which the server ends.
const ACCEPT_ATTEMPTS: u32 = 100;

impl Emulator {
    /// Serves requests until the shutdown. Requests in flight then have half a second to end.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        // In one task, because the emulator needs only microseconds for a request.
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
                        if self.refuses_connection() {
                            // Resets the connection.
                            let _ = stream.set_zero_linger();
                            continue;
                        }
                        // An error only affects the speed.
                        let _ = stream.set_nodelay(true);
                        let emulator = self.clone();
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
        // Remaining connections are dropped.
        let _ = timeout(SHUTDOWN_DEADLINE, async {
            while connections.next().await.is_some() {}
        })
        .await;
        Ok(())
    }
}

async fn handle(
    emulator: Emulator,
    request: Request<Incoming>,
) -> io::Result<hyper::Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => {
            let (response, request_id) = emulator.error(&error);
            return Ok(respond(response, &request_id, true));
        }
    };
    let (delivery, request_id) = emulator.handle(&parts, &body);
    match delivery {
        Delivery::Response(response, delay) => {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            Ok(respond(response, &request_id, false))
        }
        // An error here drops the connection.
        Delivery::ConnectionRefused | Delivery::ConnectionLost { .. } => {
            Err(io::ErrorKind::ConnectionReset.into())
        }
        // Until the client or the server closes the connection.
        Delivery::NoResponse { .. } => std::future::pending().await,
    }
}

async fn read(body: Incoming) -> Result<Bytes> {
    let too_large = || {
        let message = "The request is larger than 1 MiB.";
        ErrorResponse::common("RequestEntityTooLargeException", 413, message)
    };
    // Refused by `Content-Length` if possible, or else while reading.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    match timeout(BODY_DEADLINE, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            let message = "the body of the request cannot be read";
            Err(ErrorResponse::serialization(message))
        }
        Err(_) => {
            let message = "The body of the request did not arrive in time.";
            Err(ErrorResponse::common(
                "RequestTimeoutException",
                408,
                message,
            ))
        }
    }
}

/// The response in the type of hyper. `close` is whether the connection is closed after it.
fn respond(response: Response, request_id: &str, close: bool) -> hyper::Response<Full<Bytes>> {
    let status = StatusCode::from_u16(response.status);
    let content_type = HeaderValue::from_static(response.content_type);
    let error_type = response.error_type;
    let mut response = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(Ok(name)) = error_type.map(|name| HeaderValue::from_str(&name)) {
        headers.insert("x-amzn-errortype", name);
    }
    if close {
        // The rest of the body is not read.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
