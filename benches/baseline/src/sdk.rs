//! The bare SDK, with the client set up as `portward` sets up its own.
//!
//! Owns the calls. Does not do anything with the replies.

use std::time::Duration;

use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::config::timeout::TimeoutConfig;
use aws_sdk_lightsail::config::{
    BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, REGION};

fn client(url: &str) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(3_100))
        .operation_attempt_timeout(Duration::from_secs(15))
        .build();
    let config = aws_sdk_lightsail::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

pub(crate) async fn fleet(url: &str) -> anyhow::Result<usize> {
    let client = &client(url);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = client.get_instances().set_page_token(token).send().await?;
        names.extend(page.instances().iter().filter_map(|one| one.name.clone()));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    stream::iter(names)
        .map(|name| async move {
            let request = client.get_instance_port_states().instance_name(name);
            anyhow::Ok(request.send().await?.port_states().len())
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, rules| async move { Ok(sum + rules) })
        .await
}
