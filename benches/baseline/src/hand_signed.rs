//! Requests that are signed by hand: the least that these reads can cost.
//!
//! Owns the connections, the signature with a key that is derived once, and the few members of a reply that are counted.
//! Does not have what a client in use needs besides: timeouts, retries, another endpoint for each region, credentials that
//! expire.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::TcpStream;

use super::{AT_ONCE, REGION};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const SIGNED_HEADERS: &str = "content-type;host;x-amz-date;x-amz-target";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetInstances {
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    instances: Vec<Instance>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Instance {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetInstancePortStates {
    instance_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortStates<'a> {
    #[serde(borrow)]
    port_states: Vec<PortState<'a>>,
}

/// What a plan needs of a rule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsed to be measured")]
struct PortState<'a> {
    from_port: u16,
    to_port: u16,
    protocol: &'a str,
    state: &'a str,
    cidrs: Vec<&'a str>,
    ipv6_cidrs: Vec<&'a str>,
    cidr_list_aliases: Vec<&'a str>,
}

pub(crate) async fn fleet(url: &str) -> anyhow::Result<usize> {
    let client = &Client::new(url)?;
    let mut names = Vec::new();
    let mut page_token = None;
    loop {
        let request = GetInstances { page_token };
        let reply = client.call("GetInstances", &request).await?;
        let page: Page = serde_json::from_slice(&reply)?;
        names.extend(page.instances.into_iter().map(|one| one.name));
        page_token = page.next_page_token;
        if page_token.is_none() {
            break;
        }
    }
    stream::iter(names)
        .map(|instance_name| async move {
            let request = GetInstancePortStates { instance_name };
            let reply = client.call("GetInstancePortStates", &request).await?;
            let reply: PortStates = serde_json::from_slice(&reply)?;
            anyhow::Ok(reply.port_states.len())
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, rules| async move { Ok(sum + rules) })
        .await
}

struct Client {
    host: String,
    key: Vec<u8>,
    /// Connections that no request is using.
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    fn new(url: &str) -> anyhow::Result<Self> {
        let host = url.strip_prefix("http://").context("no http:// URL")?;
        let key = generate_signing_key("test", SystemTime::now(), REGION, "lightsail");
        Ok(Self {
            host: host.trim_end_matches('/').to_owned(),
            key: key.as_ref().to_vec(),
            idle: Mutex::default(),
        })
    }

    async fn call(&self, action: &str, input: &impl Serialize) -> anyhow::Result<Bytes> {
        let request = self.signed(action, serde_json::to_vec(input)?)?;
        let mut connection = self.connection().await?;
        let reply = connection.send_request(request).await?;
        let status = reply.status();
        let body = reply.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{action}: HTTP {status}: {body:?}");
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
        Ok(body)
    }

    async fn connection(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(mut connection) = idle {
            connection.ready().await?;
            return Ok(connection);
        }
        let stream = TcpStream::connect(&self.host).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn signed(&self, action: &str, body: Vec<u8>) -> anyhow::Result<Request<Full<Bytes>>> {
        let host = &self.host;
        let now = OffsetDateTime::now_utc().format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))?;
        let day = &now[..8];
        let target = format!("Lightsail_20161128.{action}");
        let canonical = format!(
            "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{now}\nx-amz-target:{target}\n\n\
             {SIGNED_HEADERS}\n{}",
            hex(&body)
        );
        let scope = format!("{day}/{REGION}/lightsail/aws4_request");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{now}\n{scope}\n{}",
            hex(canonical.as_bytes())
        );
        let signature = calculate_signature(&self.key, to_sign.as_bytes());
        let request = Request::post("/")
            .header("host", host)
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-date", now)
            .header("x-amz-target", target)
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={SIGNED_HEADERS}, \
                     Signature={signature}"
                ),
            );
        Ok(request.body(Full::new(body.into()))?)
    }
}

fn hex(text: &[u8]) -> String {
    let digits = Sha256::digest(text).into_iter();
    let digits = digits.flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}
