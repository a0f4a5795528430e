//! The lookup of one instance by its name.
//!
//! Owns the messages if there is none, or more than one. Does not list instances.

use super::select::suggestion;
use crate::cli::error::CommandError;
use crate::model::{Code, InstanceId, Live, Site, Unreadable};

/// The regions that could not be listed and may have an instance of this name.
pub(in crate::cli) fn sites_that_may_hold<'a>(
    text: &str,
    live: &'a Live,
) -> Vec<(&'a Site, &'a Unreadable)> {
    let name = text.rsplit('/').next().unwrap_or_default();
    let may_hold = |site: &Site| site.instance_id(name).is_called(|called| called == text);
    let sites = live.sites_unreadable.iter();
    sites.filter(|(site, _)| may_hold(site)).collect()
}

/// The one instance of this name.
///
/// # Errors
/// There is none or there are several, or that is unknown.
pub(in crate::cli) fn find<'a>(text: &str, live: &'a Live) -> Result<&'a InstanceId, CommandError> {
    let ids = live.instances.keys();
    let named: Vec<&InstanceId> = ids.filter(|id| id.is_called(|name| name == text)).collect();
    match named[..] {
        [id] => Ok(id),
        [] => Err(match sites_that_may_hold(text, live)[..] {
            [] => CommandError::failed(format!(
                "there is no instance `{text}` in the regions that were looked at"
            ))
            .with_code(Code::NotFound)
            .with_optional_hint(suggestion(text, live.instances.keys())),
            [(site, cause), ..] => {
                CommandError::unlisted(&format!("an instance `{text}`"), site, cause)
            }
        }),
        _ if named.iter().any(|id| id.account != named[0].account) => Err(CommandError::usage(
            format!("`{text}` exists in several accounts"),
            "name it with its account and region: ACCOUNT/REGION/NAME",
        )),
        _ => Err(CommandError::usage(
            format!("`{text}` exists in several regions"),
            "name it with its region: REGION/NAME",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::model::{Code, Site, Unreadable};

    #[test]
    fn instance_of_an_unread_list_is_not_missing() {
        let mut live = Live::default();
        let missing = find("web-1", &live).expect_err("nothing is there");
        assert_eq!((missing.exit, missing.code), (Exit::Failed, Code::NotFound));
        let cause = Unreadable::new("no answer");
        live.sites_unreadable
            .insert(Site::of_region("eu-central-1"), cause);
        let unknown = find("web-1", &live).expect_err("nothing is known");
        assert_eq!(
            (unknown.exit, unknown.code),
            (Exit::Incomplete, Code::Unreadable)
        );
    }
}
