//! Values of the quirks of tags.
//!
//! Does not apply them; `tags` and `state` do.

use strum::{Display, EnumString, VariantNames};

/// The effect of `TagResource` on an existing key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum TagEffect {
    /// The value is replaced.
    #[default]
    Overwrite,
    /// The value stays, and the request succeeds.
    Keep,
    /// `InvalidInputException`.
    Refuse,
}

/// The operations of a change of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum TagOperations {
    /// One without a type, because the service model has no type for it.
    #[default]
    Untyped,
    /// One whose type is the name of the action.
    Typed,
    /// None: the list is empty, and no operation is stored.
    #[strum(serialize = "none")]
    Empty,
}

/// The effect of a `resourceArn` that is not the ARN of the resource with the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ForeignArn {
    /// It is ignored.
    #[default]
    Ignore,
    /// `NotFoundException`.
    Refuse,
}
