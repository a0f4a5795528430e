//! `grant`: opens a port for a time, and records when it must be closed.
//!
//! Owns the verb, and the conversion of its arguments to a lease. Does not decide the calls; the plan does.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::apply::Stop;
use crate::apply::leases::MIN_REMAINING;
use crate::cli::args::{Format, parse_duration, parse_reason};
use crate::cli::connection::AccessMode;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::leases::{FleetSession, LeaseArgs, live_grant};
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::{Signal, Signals};
use crate::cli::streams::{wrap_to_stdout, write_status};
use crate::cli::unconfirmed::ReceiptsArgs;
use crate::lease::{Lease, LeaseId, LeaseState, NotPermitted};
use crate::model::{InstanceId, Key, instant};
use crate::render::grants::{self, GrantList};
use crate::render::sanitize;

/// The shortest duration: opening a port takes some seconds.
const SHORTEST: Duration = MIN_REMAINING.unsigned_abs().saturating_mul(2);

/// The arguments of a grant.
#[derive(Args, Debug)]
pub(super) struct GrantRequest {
    /// Instance: NAME, REGION/NAME or ACCOUNT/REGION/NAME
    instance: String,
    /// Service such as ssh, or port such as tcp/22
    service: String,
    /// Source: an address, a network, a set of the configuration, or `me` for the address of this machine as the internet
    /// sees it; repeatable
    #[arg(long, value_name = "SOURCE", required = true, value_delimiter = ',')]
    from: Vec<String>,
    /// Duration, such as 30m
    #[arg(id = "for", long = "for", value_name = "TIME", value_parser = parse_duration)]
    length: Duration,
    /// Reason; it is kept in the tag as far as it fits, and in the receipt
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// End one's own grants of the same service on the instance with the same step, as where an address has changed
    #[arg(long)]
    replace: bool,
}

#[derive(Args, Debug)]
pub(super) struct GrantArgs {
    #[command(flatten)]
    request: GrantRequest,
    /// Print schedules for `aws scheduler create-schedule` that close it at its end as well, by this role
    #[arg(long, value_name = "ROLE_ARN")]
    scheduler_json: Option<String>,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    receipts: ReceiptsArgs,
}

pub(super) async fn run(args: &GrantArgs, run: &mut Run) -> Result<Exit, RunError> {
    // One for the whole verb, so that no signal is lost between two steps of it.
    let mut signals = Signals::listen();
    let open = FleetSession::open(&args.lease, AccessMode::Write, run);
    let mut fleet = signals.interruptible(NOTHING_WRITTEN, open).await?;
    let stop = Stop::new();
    let make = make_grant(&args.request, &mut fleet, &args.receipts.receipts, &stop);
    // It is large.
    let make = Box::pin(make);
    let (made, signal) = signals.run_gracefully(&stop, || (), make).await;
    run.metadata.calls = fleet.connection.calls();
    let now = fleet.now();
    fleet.connection.close().await;
    let NewGrant {
        id,
        lease,
        replaced,
        exit,
    } = made.map_err(|error| with_signal_exit(error, signal))?;
    let exit = signal.map_or(exit, Signal::exit);
    if signal.is_some() {
        let until = instant::format(lease.until);
        write_status(&format!(
            "interrupted: the grant {} is complete, and ends at {until}",
            lease.id
        ));
    }
    if let Some(role) = &args.scheduler_json {
        let text = schedules(&id, &lease, role);
        return show_answer(run, exit, "", &|format, _| {
            matches!(format, Format::Text | Format::Json).then(|| text.clone())
        });
    }
    let mut text = format!(
        "{}\ngrant {} by {}\n",
        granted_line(&id, &lease),
        lease.id,
        lease.by
    );
    for id in &replaced {
        let _ = writeln!(text, "in place of {id}");
    }
    let one = GrantList {
        as_of: now,
        grants: vec![live_grant(&id, &lease)],
        sites_unreadable: Vec::new(),
    };
    let outputs = format!(
        "grant={}\nuntil={}\n",
        lease.id,
        instant::format(lease.until)
    );
    show_answer(run, exit, &outputs, &|format, _| match format {
        Format::Text | Format::Github => Some(wrap_to_stdout(&text)),
        Format::Json => Some(grants::json(&one)),
        Format::Markdown => Some(grants::markdown(&one)),
        Format::Sarif | Format::Codequality | Format::Html | Format::Prometheus => None,
    })
}

/// The error of a run that a signal stopped, with the exit status of the signal.
pub(super) fn with_signal_exit(error: RunError, signal: Option<Signal>) -> RunError {
    match (error, signal) {
        (RunError::Command(error), Some(signal)) => RunError::Command(CommandError {
            exit: signal.exit(),
            ..error
        }),
        (error, _) => error,
    }
}

/// The message if a signal arrives before the first write.
pub(super) const NOTHING_WRITTEN: &str = "interrupted before anything was written";

/// A lease whose rules are open.
pub(super) struct NewGrant {
    pub(super) id: InstanceId,
    pub(super) lease: Lease,
    /// The leases that it replaces.
    pub(super) replaced: Vec<LeaseId>,
    /// The exit status: partial if something else changed at the same time.
    exit: Exit,
}

/// The open access, its end, and the reason.
pub(super) fn granted_line(id: &InstanceId, lease: &Lease) -> String {
    let reason = if lease.why.is_empty() {
        String::new()
    } else {
        format!(": {}", lease.why)
    };
    let until = instant::format(lease.until);
    sanitize(&format!("{lease} is open on {id} until {until}{reason}"))
}

/// Grants it: checks it, writes the tag, opens the ports, and verifies the result.
pub(super) async fn make_grant(
    request: &GrantRequest,
    fleet: &mut FleetSession,
    receipts: &Path,
    stop: &Stop,
) -> Result<NewGrant, RunError> {
    check_length(request.length, fleet.limits()?.max)?;
    let id = session::find(&request.instance, &fleet.live)?.clone();
    let keys = fleet.keys(&request.service)?;
    let sources = fleet.sources(&request.from, &id).await?;
    let by = fleet.caller(&id).await;
    let lease = Lease {
        id: LeaseId::from_bits(fastrand::u64(..)),
        until: lease_end(fleet.now(), request.length)?,
        keys,
        sources,
        by,
        why: request.reason.clone().unwrap_or_default(),
    };
    let lease = lease.fitted().map_err(|error| {
        CommandError::usage(
            format!("not granted: {error}"),
            "name fewer or wider networks, or fewer ports",
        )
    })?;
    let replaced = if request.replace {
        own_leases(fleet, &id, &lease)
    } else {
        Vec::new()
    };
    let replaced: Vec<&Lease> = replaced.iter().collect();
    fleet.judge(&id, &lease, &replaced).await?;
    let about = format!(
        "grant {}: {lease} until {} by {}: {}",
        lease.id,
        instant::format(lease.until),
        lease.by,
        request.reason.as_deref().unwrap_or("no reason was given")
    );
    let exit = fleet
        .grant(&id, &lease, &replaced, about, receipts, stop)
        .await?;
    let replaced = replaced.iter().map(|lease| lease.id.clone()).collect();
    Ok(NewGrant {
        id,
        lease,
        replaced,
        exit,
    })
}

fn check_length(length: Duration, max: Duration) -> Result<(), CommandError> {
    let refusal = if length > max {
        NotPermitted::Duration(max).to_string()
    } else if length < SHORTEST {
        format!("a grant lasts for at least {} s", SHORTEST.as_secs())
    } else {
        return Ok(());
    };
    Err(
        CommandError::new(Exit::Refused, format!("not granted: {refusal}"))
            .with_hint("name a time with `--for`, as in `--for 30m`"),
    )
}

/// The end of a lease that begins now, in whole seconds.
fn lease_end(now: OffsetDateTime, length: Duration) -> Result<OffsetDateTime, CommandError> {
    let length = time::Duration::try_from(length).ok();
    let end = length.and_then(|length| now.checked_add(length));
    end.ok_or_else(|| CommandError::usage("`--for` is too long", "name a time such as 30m or 8h"))
}

/// The caller's own leases of the same ports on an instance.
fn own_leases(fleet: &FleetSession, id: &InstanceId, lease: &Lease) -> Vec<Lease> {
    let Some(instance) = fleet.live.instances.get(id) else {
        return Vec::new();
    };
    let all = fleet.config.leases(instance, fleet.now()).into_iter();
    let live = all.filter(|judged| judged.state == LeaseState::Live);
    let known = |other: &Lease| lease.by != "unknown" && other.by == lease.by;
    live.filter_map(|judged| judged.lease)
        .filter(|other| known(other) && other.keys == lease.keys)
        .collect()
}

/// What `aws scheduler create-schedule --cli-input-json` takes, one for each port. A schedule can call any
/// action of a service by a universal target (`EventBridge` Scheduler User Guide, "Using universal targets").
fn schedules(id: &InstanceId, lease: &Lease, role: &str) -> String {
    let at = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let at = lease.until.format(at).unwrap_or_default();
    let one = |(place, key): (usize, &Key)| {
        let input = json!({
            "InstanceName": id.name,
            "PortInfo": {
                "Protocol": key.protocol().as_str(),
                "FromPort": key.from(),
                "ToPort": key.to(),
                "Cidrs": lease.sources.cidrs().collect::<Vec<_>>(),
                "Ipv6Cidrs": lease.sources.ipv6_cidrs().collect::<Vec<_>>(),
            },
        });
        json!({
            "Name": format!("portward-{}-{}", lease.id, place + 1),
            "ScheduleExpression": format!("at({at})"),
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": "arn:aws:scheduler:::aws-sdk:lightsail:closeInstancePublicPorts",
                "RoleArn": role,
                "Input": input.to_string(),
            },
        })
    };
    let all: Vec<serde_json::Value> = lease.keys.iter().enumerate().map(one).collect();
    format!("{}\n", serde_json::Value::from(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Sources};

    #[test]
    fn schedule_closes_what_the_lease_opened() {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: "web-1".into(),
        };
        let net = Sources::parse_live("203.0.113.7").expect("a network");
        let lease = Lease {
            id: LeaseId::parse("abcd").expect("an id"),
            until: OffsetDateTime::from_unix_timestamp(1_925_090_100).expect("in range"),
            keys: [Key::new(Protocol::Tcp, 22, 22).expect("a key")].into(),
            sources: [net].into_iter().collect(),
            by: "x".into(),
            why: String::new(),
        };
        let text = schedules(&id, &lease, "arn:aws:iam::123456789012:role/closer");
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(all.as_array().map(Vec::len), Some(1));
        assert_eq!(all[0]["ScheduleExpression"], "at(2031-01-02T03:15:00)");
        assert_eq!(
            all[0]["Target"]["RoleArn"],
            "arn:aws:iam::123456789012:role/closer"
        );
        let input = all[0]["Target"]["Input"].as_str().expect("a text");
        let input: serde_json::Value = serde_json::from_str(input).expect("JSON");
        assert_eq!(input["InstanceName"], "web-1");
        assert_eq!(
            input["PortInfo"],
            json!({"Protocol": "tcp", "FromPort": 22, "ToPort": 22, "Cidrs": ["203.0.113.7/32"], "Ipv6Cidrs": []})
        );
    }
}
