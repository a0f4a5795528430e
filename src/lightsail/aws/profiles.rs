//! The names of the profiles in the shared files of AWS, for whoever named one that is not there.
//!
//! **Owns** which lines of the two files begin a profile (AWS SDKs and Tools Reference Guide, "Shared config and credentials
//! files"). **Does not** read settings or secrets, which the SDK does.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use crate::input;

/// Both files: the variable that names one, and where it is otherwise.
const FILES: [(&str, &str); 2] = [
    ("AWS_CONFIG_FILE", ".aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
];

/// Every profile by name, sorted. A file that cannot be read has none.
pub(super) fn names() -> Vec<String> {
    let home = env::home_dir();
    let paths = FILES.iter().filter_map(|(variable, usual)| {
        let named = env::var_os(variable).map(PathBuf::from);
        named.or_else(|| home.as_ref().map(|home| home.join(usual)))
    });
    let texts = paths.filter_map(|path| input::read_text(&path).ok());
    let names: BTreeSet<String> = texts.flat_map(|text| headings(&text)).collect();
    names.into_iter().collect()
}

fn headings(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| {
        let (heading, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
        let heading = heading.trim();
        let name = match heading.split_once(char::is_whitespace) {
            None => heading,
            Some(("profile", name)) => name.trim(),
            // Such as `sso-session` and `services`.
            Some(_) => return None,
        };
        (!name.is_empty()).then(|| name.to_owned())
    });
    headings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_what_a_heading_names() {
        let text = "[default]\nregion = x\n [profile work] # mine\n[sso-session s]\n[profile]\n[]\n[ staging ]\nkey = [x]\n";
        assert_eq!(headings(text), ["default", "work", "profile", "staging"]);
    }
}
