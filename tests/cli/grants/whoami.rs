//! `--from me`: the address as services on the internet see it.

use std::thread;

use super::{CLOSED, closed, grant_ssh};
use crate::stage::Stage;

/// Starts a server that answers every request with this text, and returns its URL.
fn echo(answer: &'static str) -> String {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut seen = Vec::new();
            let mut byte = [0];
            while !seen.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n == 1) {
                seen.push(byte[0]);
            }
            assert!(seen.starts_with(b"GET / HTTP/1.1\r\n"), "{seen:?}");
            let length = answer.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = client.write_all((head + answer).as_bytes());
        }
    });
    url
}

#[test]
fn from_me_needs_two_agreeing_services() {
    let (one, other) = (echo("203.0.113.7\n"), echo("203.0.113.7"));
    let (odd, private) = (echo("203.0.113.8"), echo("10.0.0.7"));
    let (page, six) = (echo("<html>"), echo("2001:db8::7"));
    let me = grant_ssh("me", "30m");
    for (urls, said, code) in [
        (vec![&one, &other], "tcp/22 from 203.0.113.7/32 is open", 0),
        (
            vec![&one, &odd],
            "is not certain: it is 203.0.113.7 or 203.0.113.8",
            1,
        ),
        (
            vec![&private, &private],
            "10.0.0.7 cannot be granted: it is not a public address",
            1,
        ),
        (
            vec![&one, &page],
            "only one says that the IPv4 address is 203.0.113.7",
            1,
        ),
        (vec![&page], "the response is not an address", 1),
        // IPv6 is judged apart: an address that only one service reports is left out.
        (
            vec![&one, &other, &six],
            "tcp/22 from 203.0.113.7/32 is open",
            0,
        ),
    ] {
        let list: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        let stage = Stage::new(
            &CLOSED.replace("max = ", &format!("whoami = [{}]\nmax = ", list.join(", "))),
            &closed(),
        );
        let before = stage.read("fleet.json");
        let done = stage.on_fleet(&me);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says(said), "{}", done.shown());
        if code == 0 {
            let revoke = stage.on_fleet(&["revoke", "web-1", "ssh", "--from", "me"]);
            assert_eq!(revoke.code, Some(0), "{}", revoke.shown());
            stage.assert_in_sync();
        } else {
            assert_eq!(stage.read("fleet.json"), before);
        }
    }
}
