//! Values of the quirks of writes to rules.
//!
//! Does not apply them; `rules` and `state` do.

use strum::{Display, EnumString, VariantNames};

/// The effect of Open on a key that is open already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum OpenEffect {
    /// The sources are added.
    #[default]
    Merge,
    /// The sources are replaced.
    Replace,
    /// `InvalidInputException`.
    Refuse,
}

/// The effect of the sources of a Close. Without sources it always closes the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum CloseEffect {
    /// Only these are removed; a key whose last source is removed is closed.
    #[default]
    Sources,
    /// They are ignored, and the key is closed.
    Key,
}

/// The response to the removal of something that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum MissingEffect {
    /// It succeeds without an effect.
    #[default]
    Succeed,
    /// `InvalidInputException`.
    InvalidInput,
    /// `NotFoundException`, as for an instance that does not exist.
    NotFound,
}

/// The meaning of a rule without `fromPort` or `toPort`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum AbsentPort {
    /// The port is 0.
    #[default]
    Zero,
    /// `InvalidInputException`.
    Refuse,
}

/// The meaning of a rule without any source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum NoSources {
    /// It is open to everyone in the families of the instance, which is the most dangerous case.
    #[default]
    World,
    /// It is open to nobody, and not stored.
    Nobody,
    /// `InvalidInputException`.
    Refuse,
}

/// The effect of sources of a family that the instance does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UnsupportedFamily {
    /// They are stored and returned.
    #[default]
    Keep,
    /// They are left out; a rule without other sources is not stored.
    Drop,
    /// `InvalidInputException`.
    Refuse,
}

/// The effect of a Put with two entries for the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SameKey {
    /// One rule with the sources of both.
    #[default]
    Merge,
    /// Two rules.
    Apart,
    /// `InvalidInputException`.
    Refuse,
}

/// Whether a request is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Acceptance {
    /// It is accepted.
    #[default]
    Accept,
    /// It is refused.
    Refuse,
}

/// Whether a Put takes effect as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PutSteps {
    /// As a whole.
    #[default]
    #[strum(serialize = "one-step")]
    One,
    /// First the rules that the new ones do not contain are removed. The rest follows after the next read of the instance.
    #[strum(serialize = "two-steps")]
    Two,
}

/// The error code of a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RefusalCode {
    /// `InvalidInputException`.
    #[default]
    InvalidInput,
    /// `OperationFailureException`.
    OperationFailure,
}

/// Whether an alias counts against the limit of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum AliasCount {
    /// It does not.
    #[default]
    Free,
    /// It counts as one source of each family.
    Counted,
}
