//! Requests in AWS JSON 1.1, validated like the service model.
//!
//! Owns the names of actions, the types of members, required members and the pattern of names. Does not know whether a resource exists. As
//! in the service, wrong types are detected before invalid values, a member that is `null` counts as missing, and unknown members are
//! ignored.

use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::error_response::{ErrorResponse, Result};
use super::quirks::{AbsentPort, Quirks};
use super::rules::{RuleWrite, UncheckedPortInfo, ValidRule};
use super::tags::{Tag, TagChange};

/// The actions of the emulator.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray,
)]
pub(super) enum Action {
    GetInstancePortStates,
    OpenInstancePublicPorts,
    CloseInstancePublicPorts,
    PutInstancePublicPorts,
    TagResource,
    UntagResource,
    GetOperation,
    GetOperations,
    GetOperationsForResource,
    GetInstance,
    GetInstances,
    GetInstanceState,
    GetRegions,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        self.into()
    }

    /// Parses the header `X-Amz-Target`.
    pub(super) fn from_target(target: &str) -> Option<Self> {
        Self::from_name(target.strip_prefix("Lightsail_20161128.")?)
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// Whether it changes rules or tags.
    pub(super) fn is_write(self) -> bool {
        matches!(
            self,
            Self::OpenInstancePublicPorts
                | Self::CloseInstancePublicPorts
                | Self::PutInstancePublicPorts
                | Self::TagResource
                | Self::UntagResource
        )
    }
}

/// The token of a page of a list; `None` is the first page.
type PageToken = Option<String>;

/// A valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A request for the instance of this name.
    Instance(String, InstanceRequest),
    Instances(PageToken),
    /// The operation of this ID.
    Operation(String),
    Operations(PageToken),
    Regions {
        zones: bool,
        database_zones: bool,
    },
}

/// What a request asks of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InstanceRequest {
    Get,
    ServiceState,
    PortStates,
    Operations(PageToken),
    Write(Box<RuleWrite>),
    /// A change of the tags of the resource, which may also be named by its ARN.
    Tag(Option<String>, TagChange),
}

impl Request {
    /// The instance that it names.
    pub(super) fn instance(&self) -> Option<&str> {
        match self {
            Self::Instance(name, _) => Some(name),
            _ => None,
        }
    }

    pub(super) fn parse(action: Action, body: &[u8], quirks: &Quirks) -> Result<Self> {
        let absent = quirks.absent_port;
        let value: Value = serde_json::from_slice(body)
            .map_err(|e| ErrorResponse::serialization(e.to_string()))?;
        let Value::Object(map) = &value else {
            return Err(ErrorResponse::serialization(
                "the request is not a JSON object",
            ));
        };
        let members = Members(map);
        let (name, request) = match action {
            Action::GetInstance => (members.name("instanceName")?, InstanceRequest::Get),
            Action::GetInstanceState => {
                (members.name("instanceName")?, InstanceRequest::ServiceState)
            }
            Action::GetInstancePortStates => {
                (members.name("instanceName")?, InstanceRequest::PortStates)
            }
            Action::OpenInstancePublicPorts => {
                let (name, rule) = members.name_and_rule(absent)?;
                (name, InstanceRequest::Write(RuleWrite::Open(rule).into()))
            }
            Action::CloseInstancePublicPorts => {
                let (name, rule) = members.name_and_rule(absent)?;
                (name, InstanceRequest::Write(RuleWrite::Close(rule).into()))
            }
            Action::PutInstancePublicPorts => {
                let infos =
                    members.objects("portInfos", "an object", |members| members.port_info())?;
                let name = members.name("instanceName")?;
                let infos = infos.ok_or_else(|| ErrorResponse::missing("portInfos"))?;
                let rules = infos.into_iter().map(|info| info.validate(absent));
                let write = RuleWrite::Put(rules.collect::<Result<_>>()?);
                (name, InstanceRequest::Write(write.into()))
            }
            Action::TagResource => {
                let tags = members.objects("tags", "a list of objects", |members| members.tag())?;
                let (name, arn) = members.resource()?;
                let tags = tags.ok_or_else(|| ErrorResponse::missing("tags"))?;
                (name, InstanceRequest::Tag(arn, TagChange::set(tags)?))
            }
            Action::UntagResource => {
                let keys = members.strings("tagKeys")?;
                let (name, arn) = members.resource()?;
                let keys = keys.ok_or_else(|| ErrorResponse::missing("tagKeys"))?;
                (name, InstanceRequest::Tag(arn, TagChange::remove(keys)?))
            }
            Action::GetOperationsForResource => {
                let token = members.string("pageToken")?;
                let name = members.name("resourceName")?;
                (name, InstanceRequest::Operations(token))
            }
            Action::GetOperation => {
                let id = members.string("operationId")?;
                let id = id.ok_or_else(|| ErrorResponse::missing("operationId"))?;
                if id.trim().is_empty() {
                    let message = "operationId must not be blank";
                    return Err(ErrorResponse::invalid_input(message));
                }
                return Ok(Self::Operation(id));
            }
            Action::GetOperations => return Ok(Self::Operations(members.string("pageToken")?)),
            Action::GetInstances => return Ok(Self::Instances(members.string("pageToken")?)),
            Action::GetRegions => {
                return Ok(Self::Regions {
                    zones: members.boolean("includeAvailabilityZones")?,
                    database_zones: members
                        .boolean("includeRelationalDatabaseAvailabilityZones")?,
                });
            }
        };
        Ok(Self::Instance(name, request))
    }
}

/// The members of an object, by name and type.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// The member of this name as the function converts it, which returns `None` for a wrong type.
    fn get<T>(
        &self,
        name: &str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let value = self.0.get(name).filter(|value| !value.is_null());
        let converted = value.map(|value| convert(value).ok_or_else(|| wrong_type(name, expected)));
        converted.transpose()
    }

    fn string(&self, name: &str) -> Result<Option<String>> {
        let text = self.get(name, "a string", Value::as_str)?;
        Ok(text.map(str::to_owned))
    }

    /// The member `protocol`, which may be a number.
    fn protocol(&self) -> Result<Option<String>> {
        match self.0.get("protocol").and_then(Value::as_i64) {
            Some(number) => Ok(Some(number.to_string())),
            None => self.string("protocol"),
        }
    }

    fn boolean(&self, name: &str) -> Result<bool> {
        let value = self.get(name, "a boolean", Value::as_bool)?;
        Ok(value.unwrap_or_default())
    }

    fn integer(&self, name: &str) -> Result<Option<i32>> {
        let convert = |value: &Value| i32::try_from(value.as_i64()?).ok();
        self.get(name, "a 32-bit integer", convert)
    }

    /// A list, whose items the function parses.
    fn list<T>(&self, name: &str, item: impl Fn(&Value) -> Result<T>) -> Result<Option<Vec<T>>> {
        let values = self.get(name, "a list", Value::as_array)?;
        let items = values.map(|values| values.iter().map(item).collect());
        items.transpose()
    }

    /// A list of objects, whose members the function parses.
    fn objects<T>(
        &self,
        name: &str,
        expected: &str,
        object: impl Fn(Members<'_>) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        self.list(name, |value| {
            let map = value.as_object();
            object(Members(map.ok_or_else(|| wrong_type(name, expected))?))
        })
    }

    fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.list(name, |value| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| wrong_type(name, "a list of strings"))
        })
    }

    fn port_info(&self) -> Result<UncheckedPortInfo> {
        Ok(UncheckedPortInfo {
            from_port: self.integer("fromPort")?,
            to_port: self.integer("toPort")?,
            protocol: self.protocol()?,
            cidrs: self.strings("cidrs")?,
            ipv6_cidrs: self.strings("ipv6Cidrs")?,
            cidr_list_aliases: self.strings("cidrListAliases")?,
        })
    }

    fn tag(&self) -> Result<Tag> {
        Ok((self.string("key")?, self.string("value")?))
    }

    /// The name and the ARN of the resource of a request about tags.
    fn resource(&self) -> Result<(String, Option<String>)> {
        let arn = self.string("resourceArn")?;
        let name = self.name("resourceName")?;
        if let Some(arn) = &arn
            && !is_arn(arn)
        {
            return Err(ErrorResponse::invalid_input(format!(
                "{arn} is not a valid ARN."
            )));
        }
        Ok((name, arn))
    }

    fn name_and_rule(&self, absent: AbsentPort) -> Result<(String, ValidRule)> {
        let info = self.get("portInfo", "an object", Value::as_object)?;
        let info = info.map(|info| Members(info).port_info()).transpose()?;
        let name = self.name("instanceName")?;
        let info = info.ok_or_else(|| ErrorResponse::missing("portInfo"))?;
        Ok((name, info.validate(absent)?))
    }

    /// A required resource name. The service accepts full stops, which the pattern in the service model does not.
    fn name(&self, member: &str) -> Result<String> {
        let name = self
            .string(member)?
            .ok_or_else(|| ErrorResponse::missing(member))?;
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let outer = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.len() >= 2
            && name.chars().all(inner)
            && name.starts_with(outer)
            && name.ends_with(outer)
        {
            return Ok(name);
        }
        Err(ErrorResponse::invalid_input(format!(
            "{name} is not a valid resource name. Resource names must be at least 2 characters long, may hold letters, \
             digits, hyphens, underscores and full stops, and start and end with a letter, a digit or an underscore."
        )))
    }
}

/// Whether it matches the pattern of the service model:
/// `^arn:(aws[^:]*):([a-zA-Z0-9-]+):([a-z0-9-]+):([0-9]+):([a-zA-Z]+)/([a-zA-Z0-9-]+)$`.
fn is_arn(text: &str) -> bool {
    let all =
        |part: &str, is_allowed: fn(char) -> bool| !part.is_empty() && part.chars().all(is_allowed);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else {
        return false;
    };
    let (kind, id) = resource.split_once('/').unwrap_or_default();
    arn == "arn"
        && partition.starts_with("aws")
        && all(service, word)
        && all(region, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
        })
        && all(account, |c| c.is_ascii_digit())
        && all(kind, |c| c.is_ascii_alphabetic())
        && all(id, word)
}

fn wrong_type(member: &str, expected: &str) -> ErrorResponse {
    ErrorResponse::serialization(format!("{member} must be {expected}"))
}

#[cfg(test)]
mod tests;
