//! The interface to the Lightsail API: reader and writer traits in the crate's own types, and a typed error.
//!
//! Owns the calls that this program makes, and their rates. Only `aws` uses the SDK. A verb that only reads gets a [`Reader`], which
//! cannot write. Does not know plans.

pub mod aws;
mod call_counts;
mod error;
mod inventory_reader;
mod rate;
mod rate_limiter;

pub(crate) use call_counts::CallCounts;
pub use error::{Error, ErrorKind};
pub use inventory_reader::InventoryReader;
pub use rate::{Rate, RateError};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{Firewall, Instance, InstanceId, Key, LiveFirewall, PortState, Site, Sources};

/// Reads from the service. Every method has a deadline.
#[expect(
    async_fn_in_trait,
    reason = "one thread runs everything, so no future has to be Send"
)]
pub trait Reader {
    /// The minimum time that the request rates require for this many more calls of an action at a site.
    fn minimum_time(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        let _ = (site, action, calls);
        Duration::ZERO
    }

    /// Lists all instances of a site, all pages. If a page fails or a token repeats, the whole list fails.
    ///
    /// # Errors
    /// The list is not complete.
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error>;

    /// Like `instances`, but passes on each instance as soon as its page has arrived. If the list fails afterwards, these instances
    /// must not be relied upon.
    ///
    /// # Errors
    /// As for `instances`.
    async fn stream_instances(
        &self,
        site: &Site,
        on_instance: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let instances = self.instances(site).await?;
        instances.iter().for_each(on_instance);
        Ok(instances)
    }

    /// Like `instances`, with the rules in the response, which need no further call. The service does not promise that they equal
    /// those of `port_states`, so they are not enough for a write.
    ///
    /// # Errors
    /// As for `instances`.
    async fn instances_with_rules(&self, site: &Site) -> Result<Vec<ListedInstance>, Error> {
        let instances = self.instances(site).await?;
        Ok(instances.into_iter().map(ListedInstance::from).collect())
    }

    /// Reads an instance by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it does not exist, or any other failed call.
    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error>;

    /// Reads the rules of an instance, unparsed. A response without `portStates` is an error, never an empty list.
    ///
    /// # Errors
    /// The rules cannot be read.
    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error>;

    /// Reads and parses the rules of an instance.
    ///
    /// # Errors
    /// As for `port_states`.
    async fn rules(&self, id: &InstanceId) -> Result<LiveFirewall, Error> {
        Ok(LiveFirewall::read(&self.port_states(id).await?))
    }

    /// Reads an operation by its ID, in the region of its instance.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not visible (yet), or any other failed call.
    async fn operation(&self, instance: &InstanceId, id: &str) -> Result<Operation, Error>;

    /// Lists the operations on an instance, all pages.
    ///
    /// # Errors
    /// The list is not complete.
    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error>;
}

/// Writes to the service. No method retries, because only a read can tell the effect of a write whose response was lost.
#[expect(
    async_fn_in_trait,
    reason = "one thread runs everything, so no future has to be Send"
)]
pub trait Writer {
    /// Waits until the request rates permit a call of this action. The next such call is then sent at once, so conditions of a write
    /// are checked after this.
    ///
    /// # Errors
    /// The wait exceeds the deadline.
    async fn reserve_call(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        let _ = (id, action);
        Ok(())
    }

    /// Opens a key to these sources, which must not be empty.
    ///
    /// # Errors
    /// The call was refused, or there was no response; [`Error::is_outcome_unknown`] distinguishes the two.
    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error>;

    /// Closes a key. `sources` are all of its sources.
    ///
    /// # Errors
    /// As for `open`.
    async fn close(&self, id: &InstanceId, key: Key, sources: &Sources)
    -> Result<Operation, Error>;

    /// Replaces the whole firewall. An empty firewall is sent as an explicit empty list.
    ///
    /// # Errors
    /// As for `open`.
    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error>;

    /// Adds tags to an instance, by key. Other tags stay. It is not documented whether the value of an existing key is replaced, so a tag
    /// that must not be lost needs a new key.
    ///
    /// The response may have any number of operations, including none (service model, `TagResourceResult`): only a read shows the
    /// tags. Somebody else may write the same key at the same time.
    ///
    /// # Errors
    /// As for `open`. There is no request, but an error, if there are no tags, or if [`check_tag_key`] or
    /// [`check_tag_value`] does not allow a tag.
    ///
    /// [`check_tag_key`]: crate::model::check_tag_key
    /// [`check_tag_value`]: crate::model::check_tag_value
    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error>;

    /// Removes the tags with these keys from an instance, whatever their values are. The response for a missing key is not documented.
    ///
    /// The response may have any number of operations (service model, `UntagResourceResult`).
    ///
    /// # Errors
    /// As for `tag`.
    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error>;
}

/// An instance of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInstance {
    /// The instance.
    pub instance: Instance,
    /// Its rules; `None` if the list does not contain all of them.
    pub rules: Option<LiveFirewall>,
}

/// An instance whose rules were not listed.
impl From<Instance> for ListedInstance {
    fn from(instance: Instance) -> Self {
        Self {
            instance,
            rules: None,
        }
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The ID for `GetOperation`.
    pub id: String,
    /// The action, such as `PutInstancePublicPorts`.
    pub action: String,
    /// Details such as `22/tcp`; the format is not documented.
    pub details: String,
    /// Its status.
    pub status: OperationStatus,
    /// The time at which it began.
    pub created_at: Option<OffsetDateTime>,
    /// The code and details of its failure.
    pub error: Option<String>,
}

/// The status of an operation. `isTerminal` decides whether it has ended, or, if that is missing, the name of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Not ended (`NotStarted`, `Started`, and any unknown status that is not terminal).
    Pending,
    /// Ended with success (`Succeeded`, `Completed`).
    Succeeded,
    /// Ended without success.
    Failed,
}
