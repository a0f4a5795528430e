//! The emulator on loopback, as a client that is not ours sees it: the AWS SDK, and a socket for what no SDK would do.
//!
//! One binary for everything that links the SDK, because each such binary costs build time.

mod hostile;
mod verb;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lightsail::operation::RequestId;
use aws_sdk_lightsail::operation::get_instance_port_states::GetInstancePortStatesOutput;
use aws_sdk_lightsail::types::{NetworkProtocol, OperationStatus, PortInfo, Tag};
use futures_util::future::{AbortHandle, abortable, pending};
use portward::emulator::{Emulator, EmulatorOptions, FileAccess, OperationProgress, Quirks};
use portward::inventory::Inventory;
use tokio::net::TcpListener;

const FLEET: &str = r#"{
  "format": "portward.inventory", "version": 1,
  "regions": {
    "eu-central-1": [
      {"name": "web-1", "arn": "arn:aws:lightsail:eu-central-1:123456789012:Instance/1", "state": "running",
       "ipAddressType": "dualstack", "tags": {"role": "web"},
       "portStates": [{"fromPort": 22, "toPort": 22, "protocol": "TCP", "cidrs": ["192.0.2.7"]}]},
      {"name": "new-1", "arn": "arn:aws:lightsail:eu-central-1:123456789012:Instance/2", "state": "pending",
       "ipAddressType": "ipv4", "portStates": []}
    ],
    "us-east-1": [
      {"name": "odd-1", "arn": "arn:aws:lightsail:us-east-1:123456789012:Instance/3", "state": "running",
       "ipAddressType": "ipv6", "portStates": null}
    ]
  }
}"#;

fn emulator(options: EmulatorOptions) -> Emulator {
    Emulator::new(Inventory::parse(FLEET).expect("an inventory"), options)
}

/// A served emulator.
struct Served {
    url: String,
    stop: AbortHandle,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn serve(emulator: &Emulator) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (stopped, stop) = abortable(pending::<()>());
    let shutdown = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(emulator.clone().serve(listener, shutdown));
    Served { url, stop, server }
}

fn client(url: &str, region: &str, key: &str, secret: &str, token: Option<&str>) -> Client {
    let token = token.map(ToOwned::to_owned);
    let config = aws_sdk_lightsail::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(key, secret, token, None, "test"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

impl Served {
    fn client(&self, region: &str, key: &str, secret: &str, token: Option<&str>) -> Client {
        client(&self.url, region, key, secret, token)
    }

    fn usual(&self) -> Client {
        self.client("eu-central-1", "test", "test", None)
    }

    async fn stop(self) {
        self.stop.abort();
        self.server.await.expect("no panic").expect("no error");
    }
}

fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    let error = result.expect_err("an error");
    error.code().unwrap_or_default().to_owned()
}

fn tcp(port: i32, cidr: &str) -> PortInfo {
    PortInfo::builder()
        .from_port(port)
        .to_port(port)
        .protocol(NetworkProtocol::Tcp)
        .cidrs(cidr)
        .build()
}

async fn read_rules(client: &Client) -> GetInstancePortStatesOutput {
    let request = client.get_instance_port_states().instance_name("web-1");
    request.send().await.expect("read")
}

#[tokio::test]
async fn sdk_reads_and_writes_rules() {
    let emulator = emulator(EmulatorOptions::default());
    let served = serve(&emulator).await;
    let client = served.usual();

    let before = read_rules(&client).await;
    assert!(before.request_id().is_some_and(|id| id.len() == 36));
    let states = before.port_states();
    // As spelled in the inventory, until it is written.
    assert_eq!(
        states[0].protocol().map(NetworkProtocol::as_str),
        Some("TCP")
    );
    assert_eq!(states[0].cidrs(), ["192.0.2.7"]);

    let opened = client
        .open_instance_public_ports()
        .instance_name("web-1")
        .port_info(tcp(22, "198.51.100.0/24"));
    let operation = opened
        .send()
        .await
        .expect("accepted")
        .operation
        .expect("one");
    assert_eq!(operation.status(), Some(&OperationStatus::Succeeded));
    assert_eq!(
        (operation.is_terminal(), operation.operation_details()),
        (Some(true), Some("22/tcp"))
    );
    assert!(
        operation
            .created_at()
            .is_some_and(|at| at.secs() > 1_700_000_000)
    );
    let id = operation.id().expect("an id");
    let read = client
        .get_operation()
        .operation_id(id)
        .send()
        .await
        .expect("read");
    assert_eq!(read.operation, Some(operation.clone()));

    let after = read_rules(&client).await;
    let states = after.port_states();
    assert_eq!(states[0].protocol(), Some(&NetworkProtocol::Tcp));
    assert_eq!(states[0].cidrs(), ["192.0.2.7/32", "198.51.100.0/24"]);

    let closed = client
        .close_instance_public_ports()
        .instance_name("web-1")
        .port_info(tcp(22, "192.0.2.7/32"));
    closed.send().await.expect("accepted");
    let emptied = client
        .put_instance_public_ports()
        .instance_name("web-1")
        .set_port_infos(Some(Vec::new()));
    emptied.send().await.expect("accepted");
    let never_set = client
        .put_instance_public_ports()
        .instance_name("web-1")
        .send()
        .await;
    assert_eq!(code(never_set), "InvalidInputException");
    let empty = read_rules(&client).await;
    assert_eq!(empty.port_states.as_deref(), Some(&[][..]));

    let sources: Vec<_> = emulator
        .journal()
        .iter()
        .map(|write| {
            (
                write.action,
                write
                    .after
                    .iter()
                    .flat_map(|entry| entry.cidrs.clone())
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        sources,
        [
            (
                "OpenInstancePublicPorts",
                vec!["192.0.2.7/32".to_owned(), "198.51.100.0/24".to_owned()]
            ),
            (
                "CloseInstancePublicPorts",
                vec!["198.51.100.0/24".to_owned()]
            ),
            ("PutInstancePublicPorts", vec![]),
        ]
    );
    let requests = emulator.requests();
    assert_eq!(requests.get("GetInstancePortStates"), Some(&3));
    assert_eq!(requests.get("PutInstancePublicPorts"), Some(&2));
    served.stop().await;
}

#[tokio::test]
async fn sdk_tags_instances() {
    let emulator = emulator(EmulatorOptions::default());
    let served = serve(&emulator).await;
    let client = served.usual();
    let tag = |key: &str, value: Option<&str>| {
        let value = value.map(ToOwned::to_owned);
        Tag::builder().key(key).set_value(value).build()
    };
    let request = client.tag_resource().resource_name("web-1");
    let request = request
        .tags(tag("portward:grant:1", Some("v1")))
        .tags(tag("bare", None));
    let reply = request.send().await.expect("accepted");
    let [operation] = reply.operations() else {
        panic!("{reply:?}")
    };
    assert_eq!(operation.status(), Some(&OperationStatus::Succeeded));
    let id = operation.id().expect("an id");
    let found = client.get_operation().operation_id(id).send().await;
    assert_eq!(found.expect("found").operation.as_ref(), Some(operation));

    let request = client.untag_resource().resource_name("web-1");
    let reply = request.tag_keys("bare").send().await.expect("accepted");
    assert_eq!(reply.operations().len(), 1);
    let request = client.get_instance().instance_name("web-1");
    let shown = request.send().await.expect("read");
    let tags = shown.instance().expect("one").tags();
    let wanted = [
        tag("portward:grant:1", Some("v1")),
        tag("role", Some("web")),
    ];
    assert_eq!(tags, wanted);
    let listed = client.get_instances().send().await.expect("read");
    assert_eq!(listed.instances()[0].tags(), wanted);

    let request = client.tag_resource().resource_name("web-1");
    let none = request.set_tags(Some(Vec::new())).send().await;
    assert_eq!(code(none), "InvalidInputException");
    let request = client.untag_resource().resource_name("web-9");
    let nobody = request.tag_keys("bare").send().await;
    assert_eq!(code(nobody), "NotFoundException");
    assert_eq!(emulator.tag_journal().len(), 2);
    served.stop().await;
}

#[tokio::test]
async fn sdk_lists_instances() {
    let served = serve(&emulator(EmulatorOptions::default())).await;
    let client = served.usual();
    let page = client.get_instances().send().await.expect("read");
    let names: Vec<_> = page
        .instances()
        .iter()
        .filter_map(|instance| instance.name())
        .collect();
    assert_eq!(names, ["web-1", "new-1"]);
    let tag = &page.instances()[0].tags()[0];
    assert_eq!((tag.key(), tag.value()), (Some("role"), Some("web")));
    let regions = client.get_regions().send().await.expect("read");
    assert!(regions.regions().len() >= 16);
    served.stop().await;
}

#[tokio::test]
async fn errors_are_parsed_by_the_sdk() {
    let served = serve(&emulator(EmulatorOptions::default())).await;
    let client = served.usual();
    let missing = client
        .get_instance_port_states()
        .instance_name("web-2")
        .send()
        .await
        .expect_err("refused");
    let missing = missing.into_service_error();
    assert!(missing.is_not_found_exception());
    assert_eq!(
        missing.message(),
        Some("The Instance does not exist: web-2")
    );

    let put = |name: &str, info| {
        client
            .put_instance_public_ports()
            .instance_name(name)
            .port_infos(info)
            .send()
    };
    assert_eq!(
        code(put("web-1", tcp(22, "office")).await),
        "InvalidInputException"
    );
    assert_eq!(
        code(put("x", tcp(22, "192.0.2.7")).await),
        "InvalidInputException"
    );
    assert_eq!(
        code(put("new-1", tcp(22, "192.0.2.7")).await),
        "OperationFailureException"
    );
    let elsewhere = served.client("us-east-1", "test", "test", None);
    let unreadable = elsewhere
        .get_instance_port_states()
        .instance_name("odd-1")
        .send()
        .await
        .expect_err("refused");
    assert_eq!(
        unreadable.raw_response().map(|raw| raw.status().as_u16()),
        Some(500)
    );
    assert!(unreadable.into_service_error().is_service_exception());

    for (key, secret, expected) in [
        ("test", "wrong", "InvalidSignatureException"),
        ("AKIAOTHER", "test", "UnrecognizedClientException"),
    ] {
        let stranger = served.client("eu-central-1", key, secret, None);
        assert_eq!(code(stranger.get_instances().send().await), expected);
    }
    // Permanent keys have no session, so the token is one that was never given out.
    let session = served.client("eu-central-1", "test", "test", Some("a session token"));
    assert_eq!(
        code(session.get_instances().send().await),
        "UnrecognizedClientException"
    );
    served.stop().await;
}

#[tokio::test]
async fn operation_is_finished_by_a_command() {
    let quirks = Quirks {
        operations: OperationProgress::Explicit,
        ..Quirks::default()
    };
    let emulator = emulator(EmulatorOptions {
        quirks,
        secret_key: "else".to_owned(),
        ..EmulatorOptions::default()
    });
    let served = serve(&emulator).await;
    let client = served.client("eu-central-1", "test", "else", None);
    let opened = client
        .open_instance_public_ports()
        .instance_name("web-1")
        .port_info(tcp(80, "192.0.2.7"));
    let operation = opened
        .send()
        .await
        .expect("accepted")
        .operation
        .expect("one");
    assert_eq!(operation.status(), Some(&OperationStatus::Started));
    emulator.finish_operations();
    let read = client
        .get_operation()
        .operation_id(operation.id().expect("an id"))
        .send()
        .await
        .expect("read");
    assert_eq!(
        read.operation.and_then(|operation| operation.is_terminal),
        Some(true)
    );
    served.stop().await;
}

fn in_file(path: &Path, access: FileAccess) -> Emulator {
    Emulator::open(path, access, EmulatorOptions::default()).expect("a free file")
}

#[tokio::test]
async fn file_is_saved_after_writes_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fleet.json");
    std::fs::write(&path, FLEET).expect("written");
    let on_disk = || std::fs::read_to_string(&path).expect("there");

    let emulator = in_file(&path, FileAccess::ReadOnly);
    let served = serve(&emulator).await;
    let client = served.usual();
    for _ in 0..5 {
        client
            .get_instance()
            .instance_name("new-1")
            .send()
            .await
            .expect("read");
    }
    let refused = client
        .open_instance_public_ports()
        .instance_name("web-1")
        .port_info(tcp(80, "192.0.2.7"));
    assert_eq!(code(refused.send().await), "AccessDeniedException");
    assert!(emulator.journal().is_empty());
    served.stop().await;
    drop(emulator);
    assert_eq!(on_disk(), FLEET);

    let emulator = in_file(&path, FileAccess::ReadWrite);
    let served = serve(&emulator).await;
    let client = served.usual();
    client.get_instances().send().await.expect("read");
    assert_eq!(on_disk(), FLEET);
    let opened = client
        .open_instance_public_ports()
        .instance_name("web-1")
        .port_info(tcp(80, "192.0.2.7"));
    opened.send().await.expect("accepted");
    assert_eq!(
        Inventory::parse(&on_disk()).expect("an inventory"),
        emulator.inventory()
    );
    for _ in 0..3 {
        client
            .get_instance_state()
            .instance_name("new-1")
            .send()
            .await
            .expect("read");
    }
    let kept = Inventory::parse(&on_disk()).expect("an inventory");
    let states: BTreeMap<_, _> = kept
        .entries()
        .map(|(id, entry)| (id.name, entry.state.clone()))
        .collect();
    assert_eq!(states.get("new-1").map(String::as_str), Some("running"));
    served.stop().await;
    drop(emulator);
    in_file(&path, FileAccess::ReadOnly);
}

#[tokio::test]
async fn operations_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fleet.json");
    std::fs::write(&path, FLEET).expect("written");
    let mut begun = Vec::new();
    for port in [80, 443] {
        let emulator = in_file(&path, FileAccess::ReadWrite);
        let served = serve(&emulator).await;
        let client = served.usual();
        let opened = client
            .open_instance_public_ports()
            .instance_name("web-1")
            .port_info(tcp(port, "192.0.2.7"));
        begun.push(opened.send().await.expect("accepted").operation);
        served.stop().await;
    }
    for access in [FileAccess::ReadWrite, FileAccess::ReadOnly] {
        let emulator = in_file(&path, access);
        let served = serve(&emulator).await;
        let client = served.usual();
        for operation in &begun {
            let id = operation.as_ref().and_then(|operation| operation.id());
            let read = client
                .get_operation()
                .set_operation_id(id.map(str::to_owned));
            assert_eq!(&read.send().await.expect("read").operation, operation);
        }
        let list = client.get_operations_for_resource().resource_name("web-1");
        let listed = list.send().await.expect("read").operations;
        assert_eq!(listed, begun.iter().cloned().collect());
        served.stop().await;
    }
}

#[tokio::test]
async fn slow_client_does_not_block_another() {
    let served = serve(&emulator(EmulatorOptions::default())).await;
    let address = served.url.trim_start_matches("http://").to_owned();
    // One says nothing, one stops in the middle of a body, one talks nonsense, one sends too much.
    let talk = move || {
        let mut streams: Vec<TcpStream> = Vec::new();
        for text in [
            &b""[..],
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
            b"\x16\x03\x01\x00\xff\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(&address).expect("connected");
            stream.write_all(text).expect("sent");
            streams.push(stream);
        }
        let mut large = TcpStream::connect(&address).expect("connected");
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n";
        large.write_all(head).expect("sent");
        // Not a byte of the body is needed to see that it is too large.
        let mut reply = String::new();
        large.read_to_string(&mut reply).expect("an answer");
        (streams, reply)
    };
    let (streams, reply) = tokio::task::spawn_blocking(talk).await.expect("no panic");
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("x-amzn-requestid: "), "{reply}");

    served.usual().get_instances().send().await.expect("read");
    // The server ends although some connections never will.
    served.stop().await;
    drop(streams);
}
