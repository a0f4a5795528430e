//! `GetCallerIdentity` of STS, in the AWS query protocol: a form in, XML out.
//!
//! Owns that one operation and its errors. Refuses every other.

use crate::inventory::Inventory;

use super::fault::Fault;
use super::signature::Refusal;

pub(super) const GET_CALLER_IDENTITY: &str = "GetCallerIdentity";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Who is asked about where no instance has an account in its ARN.
const NO_ACCOUNT: &str = "000000000000";

pub(super) fn is_get_caller_identity(body: &[u8]) -> bool {
    let mut parameters = body.split(|byte| *byte == b'&');
    parameters.any(|parameter| parameter == b"Action=GetCallerIdentity")
}

/// The caller: a user of the account that the instances belong to.
pub(super) fn answer(body: &[u8], inventory: &Inventory, id: &str) -> Result<String, Fault> {
    if !is_get_caller_identity(body) {
        return Err(Fault::front(
            "InvalidAction",
            400,
            "Could not find this operation for version 2011-06-15",
        ));
    }
    let found = inventory
        .entries()
        .find_map(|(_, entry)| entry.arn.split(':').nth(4).filter(|text| !text.is_empty()));
    let account = escape(found.unwrap_or(NO_ACCOUNT));
    Ok(format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\">\n  <GetCallerIdentityResult>\n    \
         <Arn>arn:aws:iam::{account}:user/emulator</Arn>\n    <UserId>AIDAEMULATOR</UserId>\n    \
         <Account>{account}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
         <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
    ))
}

/// The same refusals as Lightsail's, under the names and statuses of the query protocol.
pub(super) fn refuse(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing => Fault::front(
            "MissingAuthenticationToken",
            403,
            "Request is missing Authentication Token",
        ),
        Refusal::Incomplete(why) => Fault::front("IncompleteSignature", 400, why),
        Refusal::UnknownKey => Fault::front(
            "InvalidClientTokenId",
            403,
            "The security token included in the request is invalid.",
        ),
        Refusal::Invalid(why) => Fault::front("SignatureDoesNotMatch", 403, why),
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
