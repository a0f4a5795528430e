//! The seam to the service: narrow reader and writer traits in the crate's own types, and their one typed error.
//!
//! Owns what a caller may ask of Lightsail, and how fast. Only `aws` below names the SDK. A verb that only reads is given a [`Reader`],
//! which has no way to write.

pub mod aws;
mod error;
mod offline;
mod pace;
mod queue;
mod tally;

pub use error::{Error, Kind};
pub use offline::Offline;
pub use pace::{Rate, RateError};
pub use tally::{Answers, Tally};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{Firewall, Instance, InstanceId, Key, LiveFirewall, PortState, Site, Sources};

/// Reads the service. Every method answers within a deadline of its own.
#[expect(
    async_fn_in_trait,
    reason = "one thread runs everything, so no future has to be Send"
)]
pub trait Reader {
    /// The least time until this many more calls of an action are through at a site, as far as the rates of the service go;
    /// nothing where none has to wait.
    fn least(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        let _ = (site, action, calls);
        Duration::ZERO
    }

    /// Every instance of a site, all pages; a page that fails or a token that repeats fails the whole.
    ///
    /// # Errors
    /// Whatever kept the list from being complete.
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error>;

    /// As `instances`, and shows each instance as soon as its page is there, so that somebody may begin with it. What was
    /// shown of a list that fails afterwards is nothing that could be relied upon.
    ///
    /// # Errors
    /// As for `instances`.
    async fn instances_shown(
        &self,
        site: &Site,
        show: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let instances = self.instances(site).await?;
        instances.iter().for_each(show);
        Ok(instances)
    }

    /// As `instances`, with the rules that the list itself shows. It costs no call more, but nothing promises that these
    /// rules are those of `port_states`, so nothing may be written because of them alone.
    ///
    /// # Errors
    /// As for `instances`.
    async fn listed(&self, site: &Site) -> Result<Vec<Listed>, Error> {
        let instances = self.instances(site).await?;
        Ok(instances.into_iter().map(Listed::from).collect())
    }

    /// One instance by name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none, and whatever else kept it from being read.
    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error>;

    /// The rules of an instance, as they are spelled. A reply without `portStates` is an error, never an empty list.
    ///
    /// # Errors
    /// Whatever kept them from being read.
    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error>;

    /// The rules of an instance, as they are understood.
    ///
    /// # Errors
    /// As for `port_states`.
    async fn rules(&self, id: &InstanceId) -> Result<LiveFirewall, Error> {
        Ok(LiveFirewall::read(&self.port_states(id).await?))
    }

    /// One operation by its id, in the region of the instance that it is about.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where it is not visible (yet), and whatever else kept it from being read.
    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error>;

    /// The operations on an instance, all pages.
    ///
    /// # Errors
    /// Whatever kept the list from being complete.
    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error>;
}

/// Writes the service. No method retries: after a lost reply only a read can say what happened.
#[expect(
    async_fn_in_trait,
    reason = "one thread runs everything, so no future has to be Send"
)]
pub trait Writer {
    /// Waits until a call of this action may be sent, as far as the rates of the service go. The next such call is then sent
    /// at once. Whoever must be sure of something right before a write looks after this.
    ///
    /// # Errors
    /// Its turn did not come in time.
    async fn turn(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        let _ = (id, action);
        Ok(())
    }

    /// Opens a key to these sources, which must not be empty.
    ///
    /// # Errors
    /// A refusal, or a reply that did not come; [`Error::is_outcome_unknown`] tells them apart.
    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error>;

    /// Closes a key, naming all its sources.
    ///
    /// # Errors
    /// As for `open`.
    async fn close(&self, id: &InstanceId, key: Key, sources: &Sources)
    -> Result<Operation, Error>;

    /// Replaces the whole firewall. An empty one is sent as an explicit empty list.
    ///
    /// # Errors
    /// As for `open`.
    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error>;

    /// Gives an instance these tags, by key. Other tags stay. What becomes of the value of a key that is there already is
    /// not documented, so a tag that must not be lost gets a new key.
    ///
    /// The reply may have any number of operations (service model, `TagResourceResult`), none included: only a read says
    /// what the tags are. Nothing keeps somebody else from writing the same key at the same time.
    ///
    /// # Errors
    /// As for `open`; and without a request, for no tags at all and for tags that [`check_tag_key`] and
    /// [`check_tag_value`] do not allow.
    ///
    /// [`check_tag_key`]: crate::model::check_tag_key
    /// [`check_tag_value`]: crate::model::check_tag_value
    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error>;

    /// Takes the tags with these keys from an instance, whatever their values are. What is said of a key that is not there
    /// is not documented.
    ///
    /// The reply may have any number of operations (service model, `UntagResourceResult`).
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
pub struct Listed {
    /// The instance.
    pub instance: Instance,
    /// Its rules. `None` where the list does not show them, or not in full; never empty for that reason.
    pub rules: Option<LiveFirewall>,
}

/// An instance whose rules were not listed.
impl From<Instance> for Listed {
    fn from(instance: Instance) -> Self {
        Self {
            instance,
            rules: None,
        }
    }
}

/// An operation as far as waiting for it and naming it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The id that `GetOperation` takes.
    pub id: String,
    /// The action, such as `PutInstancePublicPorts`.
    pub kind: String,
    /// What it did, such as `22/tcp`; format not documented.
    pub details: String,
    /// How far it is.
    pub status: OperationStatus,
    /// When it began.
    pub created_at: Option<OffsetDateTime>,
    /// Why it failed: code and details.
    pub error: Option<String>,
}

/// How far an operation is. Terminal is what `isTerminal` says where it is given, and the name of the status otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Not there yet (`NotStarted`, `Started`, and anything unknown that does not say it is terminal).
    Pending,
    /// Done (`Succeeded`, `Completed`).
    Succeeded,
    /// Over without success.
    Failed,
}
