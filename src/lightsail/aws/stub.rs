//! A loopback HTTP server for tests, whose responses are the results of a function.
//!
//! Owns as much of HTTP/1.1 as the requests of the SDK need. Does not know Lightsail.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Clone, Debug)]
pub(crate) struct StubRequest {
    pub(crate) line: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The whole body.
    pub(crate) body: String,
}

impl StubRequest {
    /// The value of a header; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A response, or a failure of the connection.
#[derive(Clone, Debug)]
pub(crate) enum StubResponse {
    /// Status, extra headers, and body.
    Http(u16, Vec<(&'static str, String)>, String),
    /// Status and extra headers, and then nothing until the client closes the connection.
    Head(u16, Vec<(&'static str, String)>),
    /// Status, and a body that repeats this text until the client closes the connection.
    Endless(u16, &'static str),
    /// The connection is closed without a response.
    Hangup,
    /// No response until the client closes the connection.
    Silence,
}

impl StubResponse {
    /// JSON without extra headers.
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Http(
            status,
            vec![("content-type", "application/x-amz-json-1.1".to_owned())],
            body.into(),
        )
    }
}

/// The server. Its threads end with the process.
pub(crate) struct StubServer {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<StubRequest>>>,
}

impl StubServer {
    pub(crate) fn serve(
        respond: impl Fn(&StubRequest) -> StubResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let requests: Arc<Mutex<Vec<StubRequest>>> = Arc::default();
        let (received, respond) = (Arc::clone(&requests), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (received, respond) = (Arc::clone(&received), Arc::clone(&respond));
                thread::spawn(move || {
                    if let Some(request) = read(&stream) {
                        received
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(request.clone());
                        write(&stream, respond(&request));
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// The requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<StubRequest> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn read(stream: &TcpStream) -> Option<StubRequest> {
    let mut reader = BufReader::new(stream);
    let mut text = || {
        let mut text = String::new();
        let length = reader.read_line(&mut text).ok()?;
        (length > 0).then(|| text.trim_end().to_owned())
    };
    let line = text()?;
    let mut headers = BTreeMap::new();
    while let Some(header) = text().filter(|text| !text.is_empty()) {
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(StubRequest {
        line,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn write(mut stream: &TcpStream, response: StubResponse) {
    match response {
        StubResponse::Hangup => {}
        StubResponse::Silence => {
            let _ = stream.read(&mut [0]);
        }
        StubResponse::Http(status, mut headers, body) => {
            headers.push(("content-length", body.len().to_string()));
            let _ = stream.write_all(format!("{}{body}", head(status, headers)).as_bytes());
        }
        StubResponse::Head(status, headers) => {
            let _ = stream.write_all(head(status, headers).as_bytes());
            let _ = stream.read(&mut [0]);
        }
        StubResponse::Endless(status, text) => {
            let part = text.repeat((1 << 16) / text.len());
            let _ = stream.write_all(head(status, Vec::new()).as_bytes());
            while stream.write_all(part.as_bytes()).is_ok() {}
        }
    }
}

fn head(status: u16, headers: Vec<(&'static str, String)>) -> String {
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    for (name, value) in headers {
        head = format!("{head}{name}: {value}\r\n");
    }
    head + "\r\n"
}
