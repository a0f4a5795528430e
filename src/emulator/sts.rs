//! As much of STS as assuming a role takes, in the AWS query protocol: a form in, XML out.
//!
//! Owns three operations and their errors. A role may be assumed if an instance is in its account; what is known of a web
//! identity token is only whether it looks like one. Refuses every other operation.

use std::collections::BTreeMap;

use strum::{EnumString, IntoStaticStr, VariantNames};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::fault::Fault;
use super::sessions::{Identity, Session, Sessions};
use super::signature::SignatureError;

/// An operation of STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
pub(super) enum Operation {
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithWebIdentity,
}

/// What the operations look at.
pub(super) struct Context<'a> {
    /// The accounts of the instances.
    pub(super) accounts: Vec<&'a str>,
    pub(super) sessions: &'a mut Sessions,
    /// What the secrets of new sessions are made from.
    pub(super) secret: &'a str,
    pub(super) now: OffsetDateTime,
}

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// How long a session lasts where nobody says, and what may be said (API reference of `AssumeRole`).
const LENGTH: i64 = 3_600;
const LENGTHS: std::ops::RangeInclusive<i64> = 900..=43_200;

impl Operation {
    /// The one that a form asks for.
    pub(super) fn of(form: &BTreeMap<String, String>) -> Option<Self> {
        form.get("Action")?.parse().ok()
    }

    /// Whether the request has to be signed. A web identity token speaks for itself.
    pub(super) fn is_signed(self) -> bool {
        self != Self::AssumeRoleWithWebIdentity
    }
}

/// The parameters of a form; of one that comes twice, the first.
pub(super) fn form(body: &[u8]) -> BTreeMap<String, String> {
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        form.entry(name.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    form
}

/// The body of the answer to somebody, who is nobody known where the operation is not signed.
pub(super) fn answer(
    operation: Option<Operation>,
    form: &BTreeMap<String, String>,
    caller: Option<&Identity>,
    context: Context<'_>,
    id: &str,
) -> Result<String, Fault> {
    let (operation, result) = match (operation, caller) {
        (Some(operation @ Operation::GetCallerIdentity), Some(caller)) => {
            (operation, caller_identity(caller))
        }
        (Some(operation @ Operation::AssumeRole), Some(caller)) => {
            let who = caller.arn();
            (operation, assumed(begin(form, Some(&who), context)?)?)
        }
        (Some(operation @ Operation::AssumeRoleWithWebIdentity), _) => {
            check_token(form)?;
            (operation, assumed(begin(form, None, context)?)?)
        }
        _ => {
            return Err(Fault::front(
                "InvalidAction",
                400,
                "Could not find this operation for version 2011-06-15",
            ));
        }
    };
    let name: &str = operation.into();
    Ok(format!(
        "<{name}Response xmlns=\"{NAMESPACE}\">\n  <{name}Result>\n{result}  </{name}Result>\n  <ResponseMetadata>\n    \
         <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</{name}Response>\n"
    ))
}

fn caller_identity(caller: &Identity) -> String {
    format!(
        "    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n",
        escape(&caller.arn()),
        escape(&caller.user_id()),
        escape(&caller.account)
    )
}

fn assumed(session: &Session) -> Result<String, Fault> {
    let unsaid = |_| Fault::front("InternalFailure", 500, "This session has no end.");
    let expires = session.expires.format(&Rfc3339).map_err(unsaid)?;
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

/// Begins the session that a form asks for, unless the role is out of reach of `who`.
fn begin<'a>(
    form: &BTreeMap<String, String>,
    who: Option<&str>,
    context: Context<'a>,
) -> Result<&'a Session, Fault> {
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    let (arn, name) = (get("RoleArn"), get("RoleSessionName"));
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
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_=,.@-".contains(&byte);
    if !(2..=64).contains(&name.len()) || !name.bytes().all(word) {
        return Err(invalid(&format!(
            "Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: [\\w+=,.@-]*"
        )));
    }
    let length = match form.get("DurationSeconds").map(|text| text.parse()) {
        None => LENGTH,
        Some(Ok(length)) if LENGTHS.contains(&length) => length,
        Some(_) => {
            return Err(invalid(
                "The requested DurationSeconds is not between 900 and 43200 seconds",
            ));
        }
    };
    if !context.accounts.contains(&account) {
        let message = match who {
            Some(who) => format!(
                "User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ),
            None => "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned(),
        };
        return Err(Fault::front("AccessDenied", 403, message));
    }
    let identity = Identity {
        account: account.to_owned(),
        role: Some((role.to_owned(), name.to_owned())),
    };
    let Context {
        sessions,
        secret,
        now,
        ..
    } = context;
    Ok(sessions.begin(identity, Duration::seconds(length), now, secret))
}

/// Nobody here knows who issues tokens, so that three parts in the alphabet of a JWT are all that is asked of one.
fn check_token(form: &BTreeMap<String, String>) -> Result<(), Fault> {
    let token = form.get("WebIdentityToken").map_or("", String::as_str);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let parts: Vec<&str> = token.split('.').collect();
    let looks_like = parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(letter));
    if looks_like {
        return Ok(());
    }
    Err(Fault::front(
        "InvalidIdentityToken",
        400,
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ))
}

fn invalid(message: &str) -> Fault {
    Fault::front("ValidationError", 400, message)
}

/// The same refusals as Lightsail's, under the names and statuses of the query protocol.
pub(super) fn refuse(refusal: SignatureError) -> Fault {
    match refusal {
        SignatureError::Missing => Fault::front(
            "MissingAuthenticationToken",
            403,
            "Request is missing Authentication Token",
        ),
        SignatureError::Incomplete(why) => Fault::front("IncompleteSignature", 400, why),
        SignatureError::UnknownKey => Fault::front(
            "InvalidClientTokenId",
            403,
            "The security token included in the request is invalid.",
        ),
        SignatureError::Expired => Fault::expired("ExpiredToken", 403),
        SignatureError::Invalid(why) => Fault::front("SignatureDoesNotMatch", 403, why),
    }
}

/// The body of an error.
pub(super) fn error(fault: &Fault, id: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{}</Code>\n    \
         <Message>{}</Message>\n  </Error>\n  <RequestId>{id}</RequestId>\n</ErrorResponse>\n",
        fault.code,
        escape(&fault.message),
    )
}

/// Characters that XML cannot hold at all become a question mark.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(|c: char| c.is_control(), "?")
}
