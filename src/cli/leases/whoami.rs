//! The address of this machine as the internet sees it, for `--from me`.
//!
//! **Owns** the choice of services, their quorum, and the check that the address is public. IPv4 and IPv6 are determined
//! separately. **Does not** follow redirects. No plan needs this.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use ipnet::IpNet;

use crate::cli::error::CommandError;
use crate::cli::streams::note;
use crate::lightsail::aws;
use crate::model::{Code, Sources, Special};

/// Two of each family, of different operators. The names resolve to addresses of one family only, but for those of AWS.
const BUILT_IN: [&str; 4] = [
    "https://checkip.amazonaws.com/",
    "https://ipv4.icanhazip.com/",
    "https://ipv6.icanhazip.com/",
    "https://api6.ipify.org/",
];

/// The timeout for one service.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The number of services that must agree, if there are as many.
const QUORUM: usize = 2;

/// Asks these services, or the built-in ones if there are none.
///
/// # Errors
/// They do not agree, too few answer, or the response is not a public address.
pub(super) async fn public_address(urls: &[String]) -> Result<Sources, CommandError> {
    let urls: Vec<&str> = if urls.is_empty() {
        BUILT_IN.to_vec()
    } else {
        urls.iter().map(String::as_str).collect()
    };
    let answers = join_all(urls.iter().map(|url| query(url))).await;
    let answers: Vec<(&str, Result<IpAddr, String>)> = urls.into_iter().zip(answers).collect();
    decide(&answers)
}

async fn query(url: &str) -> Result<IpAddr, String> {
    let answer = tokio::time::timeout(TIMEOUT, aws::get(url)).await;
    let text = answer.map_err(|_| "no response in time".to_owned())??;
    let text = text.trim();
    text.parse()
        .map_err(|_| "the response is not an address".to_owned())
}

/// The addresses that the services agreed on.
fn decide(answers: &[(&str, Result<IpAddr, String>)]) -> Result<Sources, CommandError> {
    let needed = QUORUM.min(answers.len());
    let mut sources = Sources::new();
    let mut reasons = Vec::new();
    for (is_ipv4, family) in [(true, "IPv4"), (false, "IPv6")] {
        let addresses = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok());
        let addresses: Vec<&IpAddr> = addresses
            .filter(|address| address.is_ipv4() == is_ipv4)
            .collect();
        let different: BTreeSet<&IpAddr> = addresses.iter().copied().collect();
        let Some(address) = different.first().filter(|_| different.len() == 1) else {
            if different.len() > 1 {
                let all: Vec<String> = different.iter().map(ToString::to_string).collect();
                return Err(CommandError::failed(format!(
                    "the {family} address of this machine is not certain: it is {}",
                    all.join(" or ")
                ))
                .with_code(Code::OwnAddress)
                .with_hint("name the address itself, as in `--from 203.0.113.7`"));
            }
            continue;
        };
        if addresses.len() < needed {
            reasons.push(format!(
                "only one says that the {family} address is {address}"
            ));
            continue;
        }
        if let Some(special) = Special::of(IpNet::from(**address)) {
            return Err(CommandError::failed(format!(
                "{address} cannot be granted: it is not a public address ({special})"
            ))
            .with_code(Code::OwnAddress)
            .with_hint("`whoami` of `[grants]` must name servers on the internet"));
        }
        sources.insert(IpNet::from(**address));
    }
    if sources.is_empty() {
        let failed = answers.iter();
        reasons.extend(failed.filter_map(|(url, answer)| {
            let reason = answer.as_ref().err()?;
            Some(format!("{url}: {reason}"))
        }));
        return Err(CommandError::failed(format!(
            "the address of this machine cannot be found out: {}",
            reasons.join("; ")
        ))
        .with_code(Code::OwnAddress)
        .with_hint("name the address itself, as in `--from 203.0.113.7`"));
    }
    for reason in reasons {
        note(&format!("{reason}, so it is left out"));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(answers: &[&str]) -> Result<String, String> {
        let read = |text: &&str| {
            let answer = text.parse().map_err(|_| "no response in time".to_owned());
            ("https://a.example", answer)
        };
        let answers: Vec<_> = answers.iter().map(read).collect();
        match decide(&answers) {
            Ok(sources) => Ok(sources.to_string()),
            Err(error) => Err(error.message),
        }
    }

    #[test]
    fn services_must_agree_on_a_public_address() {
        for (answers, sources) in [
            (&["203.0.113.7"][..], Ok("203.0.113.7/32")),
            (&["203.0.113.7", "203.0.113.7"], Ok("203.0.113.7/32")),
            (
                &["203.0.113.7", "203.0.113.7", "2001:db8::1", "2001:db8::1"],
                Ok("203.0.113.7/32, 2001:db8::1/128"),
            ),
            (
                &["203.0.113.7", "203.0.113.7", "2001:db8::1", "-"],
                Ok("203.0.113.7/32"),
            ),
            (
                &["203.0.113.7", "203.0.113.8"],
                Err(
                    "the IPv4 address of this machine is not certain: it is 203.0.113.7 or 203.0.113.8",
                ),
            ),
            (
                &["203.0.113.7", "-"],
                Err(
                    "the address of this machine cannot be found out: only one says that the IPv4 address is 203.0.113.7; https://a.example: no response in time",
                ),
            ),
            (
                &["10.0.0.1", "10.0.0.1"],
                Err("10.0.0.1 cannot be granted: it is not a public address (private (RFC 1918))"),
            ),
        ] {
            let expected = sources.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(decided(answers), expected, "{answers:?}");
        }
    }
}
