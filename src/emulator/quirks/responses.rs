//! Values of the quirks of responses.
//!
//! Does not apply them; `rule_spelling`, `error_response` and `service` do.

use strum::{Display, EnumString, VariantNames};

/// The spelling of the protocol `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum AllSpelling {
    /// As in a request.
    #[default]
    All,
    /// As in EC2.
    #[strum(serialize = "-1")]
    MinusOne,
}

/// The spelling of the network of a single address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum AddressSpelling {
    /// With its prefix length.
    #[default]
    Masked,
    /// Without.
    Bare,
}

/// The spelling of IPv6 addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Ipv6Spelling {
    /// The shortest.
    #[default]
    Compressed,
    /// All eight groups, without padding.
    Expanded,
    /// All eight groups, padded and in capitals, as in the pattern of the service model.
    Upper,
}

/// The order of rules and sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RuleOrder {
    /// As they were written.
    #[default]
    Kept,
    /// Another one for each response.
    Shuffled,
}

/// The lists of sources in a response to `GetInstancePortStates`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SourceLists {
    /// All three.
    #[default]
    Present,
    /// Those that are not empty.
    NotEmpty,
    /// None, so that the sources are unknown.
    Absent,
}

/// Whether a response names a key once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum KeyRepetition {
    /// Once.
    #[default]
    Once,
    /// Twice, with the sources split between the two; a single source is in both.
    Twice,
}

/// The rules in `GetInstances`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ListedPorts {
    /// The current ones.
    #[default]
    Current,
    /// Those from the start of the emulator.
    Stale,
    /// All but the last.
    Partial,
    /// None: the member is missing.
    Absent,
}

/// The HTTP status of a `ThrottlingException`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ThrottleStatus {
    /// 403, as documented on the page about throttling.
    #[default]
    #[strum(serialize = "403")]
    Forbidden,
    /// 400, as documented on the page about common errors.
    #[strum(serialize = "400")]
    BadRequest,
}

/// The spelling of `__type` in an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ErrorType {
    /// `NotFoundException`.
    #[default]
    Bare,
    /// `com.amazonaws.lightsail#NotFoundException`.
    Prefixed,
    /// `NotFoundException:http://...`, as in other services of AWS.
    Suffixed,
}

/// The member `code` of an error. Common errors never have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ErrorCode {
    /// The same as `__type`.
    #[default]
    Same,
    /// It is missing.
    Absent,
    /// It is `null`.
    Null,
    /// Another value, which some SDKs use as the code of the error.
    Different,
}

/// Whether an error has the header `x-amzn-ErrorType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ErrorHeader {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Present,
}

/// The pages after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Paging {
    /// They are correct.
    #[default]
    Whole,
    /// The second page returns its own token again.
    RepeatToken,
    /// The second page is a `ServiceException`.
    Fail,
}

/// The response to `GetInstancePortStates`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PortStatesResponse {
    /// Complete.
    #[default]
    Whole,
    /// `portStates` is missing.
    Missing,
    /// `portStates` is `null`.
    Null,
    /// The JSON ends in the middle.
    Truncated,
    /// An HTML page, with status 200.
    Html,
    /// An empty body, with status 200.
    Empty,
}

/// The response to an accepted write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum WriteResponse {
    /// Complete.
    #[default]
    Whole,
    /// `operation` is missing.
    NoOperation,
    /// The JSON ends in the middle.
    Truncated,
    /// An HTML page, with status 200.
    Html,
    /// An empty body, with status 200.
    Empty,
}
