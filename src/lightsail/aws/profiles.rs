//! The names of the profiles in the shared configuration files of AWS, for the hint after an unknown profile.
//!
//! **Owns** the syntax of section headings (AWS SDKs and Tools Reference Guide, "Shared config and credentials files"). **Does not**
//! read settings or secrets; the SDK does.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use crate::input;

/// The files: the variable with the path, and the default path in the home directory.
const FILES: [(&str, &str); 2] = [
    ("AWS_CONFIG_FILE", ".aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
];

/// The names, sorted. Files that cannot be read are skipped.
pub(super) fn names() -> Vec<String> {
    let home = env::home_dir();
    let paths = FILES.iter().filter_map(|(variable, default)| {
        let path = env::var_os(variable).map(PathBuf::from);
        path.or_else(|| home.as_ref().map(|home| home.join(default)))
    });
    let texts = paths.filter_map(|path| input::read_text(&path).ok());
    let names: BTreeSet<String> = texts.flat_map(|text| profiles(&text)).collect();
    names.into_iter().collect()
}

fn profiles(text: &str) -> Vec<String> {
    let profiles = text.lines().filter_map(|line| {
        let (heading, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
        let heading = heading.trim();
        let name = match heading.split_once(char::is_whitespace) {
            None => heading,
            Some(("profile", name)) => name.trim(),
            // Another section, such as `sso-session` or `services`.
            Some(_) => return None,
        };
        (!name.is_empty()).then(|| name.to_owned())
    });
    profiles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sections_are_not_profiles() {
        let text = "[default]\nregion = x\n [profile work] # mine\n[sso-session s]\n[profile]\n[]\n[ staging ]\nkey = [x]\n";
        assert_eq!(profiles(text), ["default", "work", "profile", "staging"]);
    }
}
