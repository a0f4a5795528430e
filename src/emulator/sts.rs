//! The actions of STS for assuming a role, in the AWS query protocol: a form as the request, XML as the response.
//!
//! Owns three actions and their errors. A role can be assumed if an instance is in its account. Of a web identity token only the form is
//! checked. Does not support other actions.

use std::collections::BTreeMap;

use strum::{EnumString, IntoStaticStr, VariantNames};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::error_response::{ErrorResponse, Result};
use super::sessions::{Identity, Session, Sessions};
use super::signature::SignatureError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
pub(super) enum StsAction {
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithWebIdentity,
}

/// The context of a request.
pub(super) struct StsContext<'a> {
    /// The accounts of the instances.
    pub(super) accounts: Vec<&'a str>,
    pub(super) sessions: &'a mut Sessions,
    /// The secret from which those of new sessions are derived.
    pub(super) secret: &'a str,
    pub(super) now: OffsetDateTime,
}

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The default and the possible values of `DurationSeconds` (API reference of `AssumeRole`).
const DEFAULT_DURATION: i64 = 3_600;
const DURATIONS: std::ops::RangeInclusive<i64> = 900..=43_200;

impl StsAction {
    pub(super) fn from_form(form: &BTreeMap<String, String>) -> Option<Self> {
        form.get("Action")?.parse().ok()
    }

    /// Whether the request must be signed. A web identity token needs no signature.
    pub(super) fn is_signed(self) -> bool {
        self != Self::AssumeRoleWithWebIdentity
    }
}

/// The parameters of a form. Of duplicates, the first one counts.
pub(super) fn parse_form(body: &[u8]) -> BTreeMap<String, String> {
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        form.entry(name.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    form
}

/// Handles a request; returns the body of the response. The caller is `None` if the request is not signed.
pub(super) fn handle(
    operation: Option<StsAction>,
    form: &BTreeMap<String, String>,
    caller: Option<&Identity>,
    context: StsContext<'_>,
    id: &str,
) -> Result<String> {
    let unknown = || {
        let message = "Could not find this operation for version 2011-06-15";
        ErrorResponse::common("InvalidAction", 400, message)
    };
    let operation = operation.ok_or_else(unknown)?;
    let result = match (operation, caller) {
        (StsAction::GetCallerIdentity, Some(caller)) => caller_identity_xml(caller),
        (StsAction::AssumeRole, Some(caller)) => {
            session_xml(assume_role(form, Some(&caller.arn()), context)?)?
        }
        (StsAction::AssumeRoleWithWebIdentity, _) => {
            check_token(form)?;
            session_xml(assume_role(form, None, context)?)?
        }
        (_, None) => return Err(unknown()),
    };
    let name: &str = operation.into();
    Ok(format!(
        "<{name}Response xmlns=\"{NAMESPACE}\">\n  <{name}Result>\n{result}  </{name}Result>\n  <ResponseMetadata>\n    \
         <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</{name}Response>\n"
    ))
}

fn caller_identity_xml(caller: &Identity) -> String {
    format!(
        "    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n",
        escape(&caller.arn()),
        escape(&caller.user_id()),
        escape(&caller.account)
    )
}

fn session_xml(session: &Session) -> Result<String> {
    let invalid_time =
        |_| ErrorResponse::common("InternalFailure", 500, "This session has no end.");
    let expires = session.expires.format(&Rfc3339).map_err(invalid_time)?;
    Ok(format!(
        "    <AssumedRoleUser>\n      <AssumedRoleId>{}</AssumedRoleId>\n      <Arn>{}</Arn>\n    </AssumedRoleUser>\n    \
         <Credentials>\n      <AccessKeyId>{}</AccessKeyId>\n      <SecretAccessKey>{}</SecretAccessKey>\n      \
         <SessionToken>{}</SessionToken>\n      <Expiration>{expires}</Expiration>\n    </Credentials>\n",
        escape(&session.identity.user_id()),
        escape(&session.identity.arn()),
        session.access_key,
        session.secret_key,
        session.token,
    ))
}

/// Starts a session, if the caller may assume the role.
fn assume_role<'a>(
    form: &BTreeMap<String, String>,
    caller_arn: Option<&str>,
    context: StsContext<'a>,
) -> Result<&'a Session> {
    let parameter = |name: &str| form.get(name).map_or("", String::as_str);
    let (arn, name) = (parameter("RoleArn"), parameter("RoleSessionName"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let role = match parts[..] {
        ["arn", _, "iam", "", account, resource] => resource
            .strip_prefix("role/")
            .filter(|role| !role.is_empty())
            .map(|role| (account, role.rsplit('/').next().unwrap_or_default())),
        _ => None,
    };
    let Some((account, role)) = role else {
        return Err(invalid(&format!("{arn} is invalid")));
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_=,.@-".contains(&byte);
    if !(2..=64).contains(&name.len()) || !name.bytes().all(is_allowed) {
        return Err(invalid(&format!(
            "Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: [\\w+=,.@-]*"
        )));
    }
    let duration = match form.get("DurationSeconds").map(|text| text.parse()) {
        None => DEFAULT_DURATION,
        Some(Ok(duration)) if DURATIONS.contains(&duration) => duration,
        Some(_) => {
            return Err(invalid(
                "The requested DurationSeconds is not between 900 and 43200 seconds",
            ));
        }
    };
    if !context.accounts.contains(&account) {
        let message = match caller_arn {
            Some(caller) => format!(
                "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ),
            None => "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned(),
        };
        return Err(ErrorResponse::common("AccessDenied", 403, message));
    }
    let identity = Identity {
        account: account.to_owned(),
        role: Some((role.to_owned(), name.to_owned())),
    };
    let duration = Duration::seconds(duration);
    let sessions = context.sessions;
    Ok(sessions.start(identity, duration, context.now, context.secret))
}

/// Checks the form of a web identity token: three parts in the alphabet of a JWT. Its issuer is not known.
fn check_token(form: &BTreeMap<String, String>) -> Result<()> {
    let token = form.get("WebIdentityToken").map_or("", String::as_str);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let parts: Vec<&str> = token.split('.').collect();
    let is_jwt = parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(is_allowed));
    if is_jwt {
        return Ok(());
    }
    Err(ErrorResponse::common(
        "InvalidIdentityToken",
        400,
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ))
}

fn invalid(message: &str) -> ErrorResponse {
    ErrorResponse::common("ValidationError", 400, message)
}

/// The error of the query protocol for an invalid signature.
pub(super) fn signature_error(error: SignatureError) -> ErrorResponse {
    let (code, message) = match error {
        SignatureError::Missing => (
            "MissingAuthenticationToken",
            "Request is missing Authentication Token".to_owned(),
        ),
        SignatureError::Incomplete(message) => {
            return ErrorResponse::common("IncompleteSignature", 400, message);
        }
        SignatureError::UnknownKey => (
            "InvalidClientTokenId",
            "The security token included in the request is invalid.".to_owned(),
        ),
        SignatureError::Expired => return ErrorResponse::expired("ExpiredToken", 403),
        SignatureError::Invalid(message) => ("SignatureDoesNotMatch", message),
    };
    ErrorResponse::common(code, 403, message)
}

pub(super) fn error_body(error: &ErrorResponse, id: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{}</Code>\n    \
         <Message>{}</Message>\n  </Error>\n  <RequestId>{id}</RequestId>\n</ErrorResponse>\n",
        error.code,
        escape(&error.message),
    )
}

/// Escapes a text. Characters that XML does not allow become question marks.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(|c: char| c.is_control(), "?")
}
