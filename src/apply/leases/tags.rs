//! The tags of leases: written before anything is opened, and removed after everything is closed.
//!
//! **Owns** the proof of a change of tags, which is a read that shows it. **Does not** decode tags.

use std::collections::{BTreeMap, BTreeSet};

use super::settle::READS;
use crate::apply::Tools;
use crate::apply::outcomes::{failed_to, plain};
use crate::lease::Lease;
use crate::lightsail::{Error, ErrorKind, Reader, Writer};
use crate::model::{Instance, InstanceId, LiveFirewall};
use crate::plan::Failure;

impl<R: Reader, W: Writer> Tools<'_, R, W> {
    /// Reads the instance, for the next step to begin from.
    pub(super) async fn read_instance(&self, id: &InstanceId) -> Result<Instance, Failure> {
        let instance = self.reader.instance(id).await;
        instance.map_err(|error| cannot_read(&error))
    }

    /// Reads the rules, for the next step to begin from.
    pub(super) async fn read_rules(&self, id: &InstanceId) -> Result<LiveFirewall, Failure> {
        let rules = self.reader.rules(id).await;
        rules.map_err(|error| cannot_read(&error))
    }

    /// Writes the tag of a lease and waits until a read shows it.
    ///
    /// # Errors
    /// The tag was not written, or no read shows it. Its removal has been tried then.
    pub(super) async fn write_tag(&self, id: &InstanceId, lease: &Lease) -> Result<(), Failure> {
        let value = lease.value().map_err(|error| plain(error.to_string()))?;
        let key = lease.id.tag_key();
        let tags = BTreeMap::from([(key.clone(), value.clone())]);
        let why = match self.writer.tag(id, &tags).await {
            Err(error) if !error.is_outcome_unknown() => {
                let purpose = format!("the tag `{key}` cannot be written");
                return Err(failed_to(&purpose, &error));
            }
            Err(error) => error.to_string(),
            Ok(_) => "no read shows it".to_owned(),
        };
        let mut backoff = self.backoff(self.settings.proof_timeout);
        loop {
            let seen = self.read_instance(id).await;
            if seen.is_ok_and(|instance| instance.tags.get(&key) == Some(&value)) {
                return Ok(());
            }
            if backoff.is_expired() {
                break;
            }
            backoff.pause().await;
        }
        let _ = self.writer.untag(id, &[key.clone()].into()).await;
        let hint = Some("look with `portward grants`; nothing was opened".to_owned());
        Err(Failure {
            hint,
            ..plain(format!(
                "whether the tag `{key}` was written is not known: {why}"
            ))
        })
    }

    /// Whether the instance has the tag of a lease; `true` where that cannot be read.
    pub(super) async fn has_tag(&self, id: &InstanceId, lease: &Lease) -> bool {
        let mut backoff = self.backoff(self.settings.proof_timeout);
        for read in 1..=READS {
            let seen = self.read_instance(id).await;
            if !seen.is_ok_and(|instance| !instance.tags.contains_key(&lease.id.tag_key())) {
                return true;
            }
            if read < READS {
                backoff.pause().await;
            }
        }
        false
    }

    /// Removes tags, and waits until a read shows that they are gone. A tag that is missing already is no error.
    ///
    /// # Errors
    /// Some of them are still there.
    pub async fn remove_tags(
        &self,
        id: &InstanceId,
        tags: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut backoff = self.backoff(self.settings.proof_timeout);
        let mut left = tags.clone();
        while !left.is_empty() {
            let sent = self.writer.untag(id, &left).await;
            match self.reader.instance(id).await {
                Ok(instance) => left.retain(|tag| instance.tags.contains_key(tag)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                // The removal was accepted; no more can be known.
                Err(_) if sent.is_ok() => return Ok(()),
                Err(_) => {}
            }
            if left.is_empty() {
                break;
            }
            let shown: Vec<String> = left.iter().map(|tag| format!("`{tag}`")).collect();
            let shown = shown.join(", ");
            match sent {
                Err(error)
                    if backoff.is_expired()
                        || matches!(
                            error.kind(),
                            ErrorKind::AccessDenied | ErrorKind::Unauthenticated
                        ) =>
                {
                    return Err(failed_to(&format!("{shown} cannot be removed"), &error));
                }
                Ok(_) if backoff.is_expired() => {
                    return Err(plain(format!("{shown} was removed, and is still seen")));
                }
                _ => backoff.pause().await,
            }
        }
        Ok(())
    }
}

fn cannot_read(error: &Error) -> Failure {
    failed_to("it cannot be read", error)
}
