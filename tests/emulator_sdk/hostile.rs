//! The hostile emulator over HTTP: what an SDK and a socket see of lost connections, silence and odd replies. The rest is
//! tested without a socket, beside the emulator. Then a server that is not the service at all, and floods its client.

#[cfg(target_os = "linux")]
mod flood;

use std::time::{Duration, Instant};

use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lightsail::operation::put_instance_public_ports::PutInstancePublicPortsError;
use portward::emulator::{Author, EmulatorOptions, Faults, RequestFault, ScriptedEvent, Trigger};
use portward::model::InstanceId;

use super::{Served, code, emulator, read_rules, serve, tcp};

fn on_cue(action: &'static str, nth: u64, trouble: RequestFault) -> EmulatorOptions {
    let cue = Trigger {
        instance: InstanceId {
            account: None,
            region: "eu-central-1".to_owned(),
            name: "web-1".to_owned(),
        },
        action: Some(action),
        nth,
        event: ScriptedEvent::RequestFault(trouble),
    };
    EmulatorOptions {
        faults: Faults {
            script: vec![cue],
            ..Faults::default()
        },
        ..EmulatorOptions::default()
    }
}

async fn put(served: &Served) -> Result<(), SdkError<PutInstancePublicPortsError>> {
    let client = served.usual();
    let put = client
        .put_instance_public_ports()
        .instance_name("web-1")
        .port_infos(tcp(443, "192.0.2.7"));
    put.send().await.map(|_| ())
}

#[tokio::test]
async fn connection_is_dropped_before_or_after_the_effect() {
    for (trouble, written) in [
        (RequestFault::LostRequest, 0),
        (RequestFault::LostResponse, 1),
    ] {
        let emulator = emulator(on_cue("PutInstancePublicPorts", 1, trouble));
        let served = serve(&emulator).await;
        let lost = put(&served).await.expect_err("no reply");
        assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
        assert_eq!(emulator.journal().len(), written);
        put(&served).await.expect("the next one is fine");
        assert_eq!(emulator.journal().len(), written + 1);
        served.stop().await;
    }
}

#[tokio::test]
async fn silent_connection_is_held_until_shutdown() {
    let options = on_cue("PutInstancePublicPorts", 1, RequestFault::SilentAfter);
    let emulator = emulator(options);
    let served = serve(&emulator).await;
    let client = served.usual();
    let waiting = tokio::spawn(async move {
        let put = client
            .put_instance_public_ports()
            .instance_name("web-1")
            .port_infos(tcp(443, "192.0.2.7"));
        put.send().await.is_ok()
    });
    while emulator.journal().is_empty() {
        tokio::task::yield_now().await;
    }
    // Others are served meanwhile.
    read_rules(&served.usual()).await;
    assert!(!waiting.is_finished());
    assert_eq!(emulator.journal()[0].by, Author::Client);
    served.stop().await;
    assert!(!waiting.await.expect("no panic"), "cut off");
}

#[tokio::test]
async fn connections_are_refused() {
    let emulator = emulator(EmulatorOptions {
        faults: Faults {
            refused: 1000,
            ..Faults::default()
        },
        ..EmulatorOptions::default()
    });
    let served = serve(&emulator).await;
    let refused = put(&served).await.expect_err("no connection");
    assert!(
        matches!(refused, SdkError::DispatchFailure(_)),
        "{refused:?}"
    );
    assert!(emulator.requests().is_empty(), "not a byte was read");
    served.stop().await;
}

#[tokio::test]
async fn late_reply_arrives() {
    let delay = Duration::from_millis(20);
    let emulator = emulator(on_cue(
        "PutInstancePublicPorts",
        1,
        RequestFault::Slow(delay),
    ));
    let served = serve(&emulator).await;
    let start = Instant::now();
    put(&served).await.expect("it comes");
    assert!(start.elapsed() >= delay);
    served.stop().await;
}

#[tokio::test]
async fn malformed_replies_reach_the_client() {
    let with = |quirks: &[&str]| {
        let mut options = EmulatorOptions::default();
        for quirk in quirks {
            options.quirks.set(quirk).expect("a quirk");
        }
        emulator(options)
    };
    // An SDK takes these for a firewall that is empty: whoever does not look twice believes it.
    for quirk in [
        "port-states=missing",
        "port-states=null",
        "port-states=empty",
    ] {
        let served = serve(&with(&[quirk])).await;
        assert_eq!(
            read_rules(&served.usual()).await.port_states,
            None,
            "{quirk}"
        );
        served.stop().await;
    }
    for quirk in ["port-states=html", "port-states=truncated"] {
        let served = serve(&with(&[quirk])).await;
        let client = served.usual();
        let read = client.get_instance_port_states().instance_name("web-1");
        let error = read.send().await.expect_err("unreadable");
        assert!(matches!(error, SdkError::ResponseError(_)), "{error:?}");
        served.stop().await;
    }
    for (quirks, expected) in [
        (
            &["error-type=prefixed", "error-code=absent"][..],
            "NotFoundException",
        ),
        (&["error-code=different"], "400"),
        (
            &["error-code=different", "error-header=present"],
            "NotFoundException",
        ),
    ] {
        let served = serve(&with(quirks)).await;
        let client = served.usual();
        let read = client.get_instance().instance_name("web-9").send().await;
        assert_eq!(code(read), expected, "{quirks:?}");
        served.stop().await;
    }
}

#[tokio::test]
async fn rate_limits_hold_over_http() {
    let emulator = emulator(EmulatorOptions {
        faults: Faults {
            throttle: true,
            ..Faults::default()
        },
        ..EmulatorOptions::default()
    });
    let served = serve(&emulator).await;
    let mut refused = None;
    // The bucket refills meanwhile, but not as fast as this asks.
    for _ in 0..200 {
        if let Err(error) = put(&served).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("one too many");
    let status = refused.raw_response().map(|raw| raw.status().as_u16());
    assert_eq!(
        (refused.code(), status),
        (Some("ThrottlingException"), Some(403))
    );
    assert!(emulator.journal().len() >= 20);
    served.stop().await;
}
