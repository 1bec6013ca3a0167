//! The files that Amazon's tools share: `~/.aws/credentials` and `~/.aws/config`, of which the default profile is read.

use std::collections::BTreeMap;

/// Settings of one profile, by their names in lower case.
pub(super) type Profile = BTreeMap<String, String>;

/// The settings that a file's text holds for the profile `default`.
///
/// Settings that are indented belong to the one before them and are passed over, like lines that are no setting.
pub(super) fn default_profile(text: &str) -> Profile {
    let mut profile = Profile::new();
    let mut is_default = false;
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name: Vec<&str> = section.split_whitespace().collect();
            is_default = matches!(name[..], ["default"] | ["profile", "default"]);
            continue;
        }
        if let Some((key, value)) = line.split_once('=').filter(|_| is_default) {
            // A comment may follow where a space stands before it.
            let value = value.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default();
            profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    profile.retain(|_, value| !value.is_empty());
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_is_read_and_no_other() {
        let text = "# a comment\n[other]\naws_access_key_id=OTHER\n[default]\nAWS_Access_Key_Id = KEY # mine\n\
                    aws_secret_access_key=a/b=c+d\ns3 =\n  max_queue_size = 3\nregion=eu-north-1\n[profile x]\nregion = us-1\n";
        let profile = default_profile(text);
        let of = |key: &str| profile.get(key).map(String::as_str);
        assert_eq!(of("aws_access_key_id"), Some("KEY"));
        assert_eq!(of("aws_secret_access_key"), Some("a/b=c+d"));
        assert_eq!((of("region"), of("max_queue_size"), of("s3")), (Some("eu-north-1"), None, None));
        assert!(default_profile("[profile default]\nregion = a\n").contains_key("region"));
        assert!(default_profile("aws_access_key_id = LOST\n").is_empty());
    }
}
